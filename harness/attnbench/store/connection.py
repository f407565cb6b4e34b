"""Connections to a database file, the lock of its one writer, and SQLite's errors in words that users can act on."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from attnbench.errors import UserError

PATIENCE = 30.0
REMEDIES = {
    "SQLITE_FULL": "has no room to grow, the disk is full: free some space and run again; earlier results are kept",
    "SQLITE_NOTADB": "is not a database: name another file with --db",
    "SQLITE_CORRUPT": "is damaged: rebuild it from exported records with `attnbench db rebuild FOLDER`",
    "SQLITE_READONLY": "is read-only: make the file and its folder writable, or name another with --db",
    "SQLITE_CANTOPEN": "cannot be opened: check the permissions of the file and its folder",
    "SQLITE_BUSY": f"is held by another program for more than {PATIENCE:.0f} s: end that program, or wait for it",
    "SQLITE_IOERR": "cannot be read or written: check the disk",
}


def connect(path: Path, *, writable: bool, foreign_keys: bool = True) -> Engine:
    """Make an engine whose connections are set up alike.

    A database in write-ahead mode that nobody may write to is opened as immutable, unless a log lies beside it:
    then SQLite has to read that too.

    Args:
        path: the database file; made when it is missing and may be written.
        writable: whether to open it for writing.
        foreign_keys: off only while tables are rebuilt by a migration.
    """
    query = {"uri": "true", "mode": "rwc" if writable else "ro"}
    pragmas = [f"busy_timeout = {PATIENCE * 1000:.0f}", f"foreign_keys = {'ON' if foreign_keys else 'OFF'}"]
    if writable:
        pragmas += ["journal_mode = WAL", "synchronous = NORMAL"]
    elif not path.with_name(f"{path.name}-wal").exists():
        query["immutable"] = "1"
    engine = create_engine(URL.create("sqlite", database=f"file:{quote(str(path))}", query=query))

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # transactions begin where `begin` says, not where the driver guesses
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def for_writing(engine: Engine) -> Engine:
    """Return the same engine with transactions that take SQLite's write lock at their start."""
    return engine.execution_options(begin="BEGIN IMMEDIATE")


def is_writable(path: Path) -> bool:
    """Say whether the file, if it exists, and its folder can be written: write-ahead mode needs both."""
    return os.access(path.parent, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


@contextmanager
def writer(path: Path) -> Iterator[None]:
    """Be the one writer of a database.

    Raises:
        UserError: the file is read-only, or another process kept the lock for too long.
    """
    if not is_writable(path):
        raise UserError(f"{path} {REMEDIES['SQLITE_READONLY']}")
    lock = path.with_name(f"{path.name}.lock")
    try:
        with FileLock(lock, timeout=PATIENCE, poll_interval=0.005):
            yield
    except Timeout:
        raise UserError(
            f"{path}: another process has been writing for more than {PATIENCE:.0f} s: wait for it, or end it; "
            f"it holds {lock.name}"
        ) from None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the errors of SQLite that a user can mend into a `UserError`; any other is a fault and passes."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error
        family = "_".join(getattr(cause, "sqlite_errorname", "").split("_")[:2])
        if family not in REMEDIES:
            raise
        raise UserError(f"{path} {REMEDIES[family]}") from error
