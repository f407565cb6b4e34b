"""The database's schema: made, checked and upgraded by the alembic migrations inside this package."""

import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect

from attnbench.errors import UserError
from attnbench.store.connection import connect, explained, for_writing, writer

SCRIPTS = Path(__file__).parent / "migrations"


def head() -> str:
    """Return the revision that this version of attnbench reads and writes."""
    (revision,) = ScriptDirectory(str(SCRIPTS)).get_heads()
    return revision


def ensure(engine: Engine, path: Path) -> None:
    """Make the tables in an empty database; refuse one of another schema.

    Raises:
        UserError: the database is older, newer, or another program's.
    """
    found = _revision(engine, path)
    if found is None:
        with writer(path):
            _migrate(path)
    elif found != head():
        raise UserError(
            f"{path} has schema {found}, older than {head()}: run `attnbench db upgrade`, which keeps a copy"
        )


def upgrade(path: Path) -> tuple[str, str]:
    """Bring a database to the newest schema, after a copy of it was put beside it as `<path>.before-<revision>`.

    Returns:
        The revisions before and after.

    Raises:
        UserError: there is no database, or it is newer, read-only, held by another process, or another program's.
    """
    if not path.is_file():
        raise UserError(f"no database at {path}: nothing to upgrade")
    with writer(path), explained(path):
        engine = connect(path, writable=True)
        found = _revision(engine, path)
        engine.dispose()
        if found is None:
            raise UserError(f"{path} is empty: nothing to upgrade")
        if found != head():
            _copy(path, path.with_name(f"{path.name}.before-{found}"))
            _migrate(path)
    return found, head()


def _revision(engine: Engine, path: Path) -> str | None:
    with engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is None and inspect(connection).get_table_names():
            raise UserError(f"{path} is a database of another program: name another file with --db")
    known = {one.revision for one in ScriptDirectory(str(SCRIPTS)).walk_revisions()}
    if found is not None and found not in known:
        raise UserError(
            f"{path} has schema {found}, newer than {head()}: install a newer attnbench, or name another with --db"
        )
    return found


def _copy(path: Path, copy: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def _migrate(path: Path) -> None:
    """Run all missing migrations in one transaction: either all of them are there afterwards, or none."""
    engine = connect(path, writable=True, foreign_keys=False)
    try:
        with for_writing(engine).begin() as connection:
            command.upgrade(configuration(connection), "head")
            if connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise UserError(f"{path} cannot be upgraded, its tables contradict each other: it is as it was before")
    finally:
        engine.dispose()


def configuration(connection: Connection) -> Config:
    """Return alembic's configuration for one connection; there is no `alembic.ini`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config
