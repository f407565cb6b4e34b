"""Records as files: found, checked and read."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from pathlib import Path

from rfc8785 import CanonicalizationError

from attnbench.errors import UserError
from attnbench.record import Record, read

LARGEST = 64 * 2**20


class RefusedError(UserError):
    """Some files of a call were no records; the good ones are in.

    Attributes:
        reasons: one line for each bad file.
        added: results that were new.
        known: results that the database already had.
    """

    def __init__(self, reasons: list[str], added: int, known: int) -> None:
        others = f" (and {len(reasons) - 1} more files refused)" if len(reasons) > 1 else ""
        super().__init__(f"{reasons[0]}{others}; {added} results added, {known} known before")
        self.reasons = reasons
        self.added = added
        self.known = known


def find(paths: Iterable[Path]) -> Iterator[Path]:
    """List the files named, and the `*.json` files in the folders named and below them.

    Raises:
        UserError: there is nothing at a path.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(path.rglob("*.json"))
        elif path.is_file():
            yield path
        else:
            raise UserError(f"no file or folder at {path}")


def open_record(path: Path) -> Record:
    """Read one record from a file.

    Raises:
        UserError: the file cannot be read, is no record, cannot be stored, or is no longer what its name says.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: larger than the {LARGEST >> 20} MiB that a record may have")
        record = read(path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    try:
        content = record.id
        record.provenance.started.astimezone(UTC)
    except (CanonicalizationError, OverflowError) as error:
        raise UserError(f"{path}: cannot be stored: {error}") from error
    if re.fullmatch("[0-9a-f]{64}", path.stem) and path.stem != content:
        raise UserError(f"{path}: its content is not what its name says: it was changed or damaged after the export")
    return record
