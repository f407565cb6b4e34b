"""Making a database anew from exported records."""

from pathlib import Path

from attnbench.errors import UserError
from attnbench.store.connection import writer
from attnbench.store.database import GATES, Store
from attnbench.store.files import find

PARTS = ("", "-wal", "-shm")


def rebuild(path: Path, folder: Path, gates: frozenset[str] = GATES) -> int:
    """Put a new database made of the records in a folder in the place of the old one.

    The old one is kept beside it as `<path>.before-rebuild`. Unless every record goes in, nothing changes.

    Args:
        path: the database, which may be missing or damaged.
        folder: holds records as `*.json` files, in any depth.
        gates: names of the gating suites.

    Returns:
        The number of results in the new database.

    Raises:
        UserError: a file is no record, there are none, or the database cannot be written.
    """
    if not any(find([folder])):
        raise UserError(f"no *.json records in {folder}: nothing to rebuild from")
    fresh = path.with_name(f"{path.name}.rebuilding")
    _remove(fresh)
    try:
        with Store.open(fresh, gates=gates) as store:
            added, _ = store.load([folder])
        with writer(path):
            _move(path, path.with_name(f"{path.name}.before-rebuild"))
            fresh.replace(path)
    finally:
        _remove(fresh)
        fresh.with_name(f"{fresh.name}.lock").unlink(missing_ok=True)
    return added


def _move(path: Path, target: Path) -> None:
    """Move a database together with the log that may lie beside it."""
    _remove(target)
    for part in PARTS:
        old = path.with_name(path.name + part)
        if old.exists():
            old.replace(target.with_name(target.name + part))


def _remove(path: Path) -> None:
    for part in PARTS:
        path.with_name(path.name + part).unlink(missing_ok=True)
