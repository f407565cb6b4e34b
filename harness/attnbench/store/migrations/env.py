"""Runs migrations on the connection that `attnbench.store.schema` hands over."""

from alembic import context

from attnbench.store.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
