"""Migrations: they agree with the models, and an older database is upgraded with a copy kept."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from attnbench.errors import UserError
from attnbench.store import Store, schema
from attnbench.store.connection import connect
from attnbench.store.models import Base
from attnbench.testing.records import make_record

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("result") as batch:
        batch.alter_column("distribution", new_column_name="package", existing_type=sa.Text, nullable=False)
    {more}
"""


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """The migrations, copied to where a test can add some."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(schema, "SCRIPTS", folder)
    return folder


def shape(engine):
    found = inspect(engine)
    return {
        table: (
            [(one["name"], str(one["type"]), one["nullable"]) for one in found.get_columns(table)],
            found.get_pk_constraint(table),
            sorted(map(str, found.get_foreign_keys(table))),
            sorted(map(str, found.get_unique_constraints(table))),
            sorted(
                (one["name"], one["column_names"], one["unique"], str(one["dialect_options"].get("sqlite_where")))
                for one in found.get_indexes(table)
            ),
            sorted(map(str, found.get_check_constraints(table))),
        )
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def rows(path):
    with closing(sqlite3.connect(path)) as raw:
        return {
            table: raw.execute(f"select count(*) from {table}").fetchone()[0]  # noqa: S608
            for table in ("result", "metric", "proof", "ranking")
        }


def test_migrations_make_what_the_models_say(store, tmp_path):
    made = connect(store.path, writable=False)
    with made.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    Base.metadata.create_all(declared)
    assert shape(made) == shape(declared)
    for engine in (made, declared):
        engine.dispose()


def test_the_first_migration_can_be_taken_back(tmp_path):
    engine = connect(tmp_path / "results.db", writable=True)
    with engine.begin() as connection:
        config = schema.configuration(connection)
        command.upgrade(config, "head")
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_the_next_revision_starts_empty(store, scripts):
    engine = connect(store.path, writable=True)
    with engine.begin() as connection:
        script = command.revision(schema.configuration(connection), "next", autogenerate=True, rev_id="0002")
    engine.dispose()
    text = (scripts / "versions" / "0002_next.py").read_text()
    assert text.startswith('"""next."""')
    assert script.module.down_revision == "0001"
    assert text.count("pass") == 2


def test_an_older_database_is_refused_then_upgraded_with_a_copy(tmp_path, scripts):
    path = tmp_path / "results.db"
    with Store.open(path) as store:
        for seed in range(60):
            store.ingest(make_record(seed))
    before = rows(path)
    assert all(before.values())
    (scripts / "versions" / "0002_next.py").write_text(NEXT.format(more=""))
    with pytest.raises(UserError, match="schema 0001, older than 0002: run `attnbench db upgrade`"):
        Store.open(path)
    assert schema.upgrade(path) == ("0001", "0002")
    assert schema.upgrade(path) == ("0002", "0002")
    assert rows(path) == rows(tmp_path / "results.db.before-0001") == before


@pytest.mark.parametrize(
    ("more", "error"),
    [("op.execute('delete from device')", UserError), ("raise ZeroDivisionError", ZeroDivisionError)],
)
def test_a_failed_upgrade_leaves_the_database_as_it_was(tmp_path, scripts, more, error):
    path = tmp_path / "results.db"
    with Store.open(path) as store:
        store.ingest(make_record())
    (scripts / "versions" / "0002_next.py").write_text(NEXT.format(more=more))
    with pytest.raises(error):
        schema.upgrade(path)
    (scripts / "versions" / "0002_next.py").unlink()
    with Store.open(path) as store:
        assert [one.id for one in store.results()] == [make_record().id]


def test_there_must_be_something_to_upgrade(tmp_path):
    with pytest.raises(UserError, match="no database at"):
        schema.upgrade(tmp_path / "results.db")
    (tmp_path / "results.db").touch()
    with pytest.raises(UserError, match="is empty"):
        schema.upgrade(tmp_path / "results.db")
