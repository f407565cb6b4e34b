"""One result as an immutable record: the interchange format, and what the store keeps. Free of torch."""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import rfc8785
from pydantic import AwareDatetime, Field, PlainSerializer, ValidationError

from attnbench.errors import UserError
from attnbench.facts import Case, DeviceFacts, Facts, Scalar, Slug
from attnbench.nouns import Status
from attnbench.suite import Metric

SCHEMA: Literal[1] = 1
Moment = Annotated[AwareDatetime, PlainSerializer(datetime.isoformat, return_type=str)]


class Environment(Facts):
    """The software that a result was computed with. Its digest is part of a result's identity."""

    python: str
    platform: str
    packages: Mapping[str, str]
    settings: Mapping[str, Scalar] = Field(default_factory=dict)


class Provenance(Facts):
    """Where and when a result was made: enough to make it again."""

    attnbench: str
    commit: str | None
    dirty: bool | None
    seed: int = Field(ge=0, lt=2**53)
    started: Moment
    seconds: float = Field(ge=0)
    threads: int = Field(ge=1)
    log: str = Field(default="", max_length=8000)


class Record(Facts):
    """One implementation x case x device x environment, how it ended, and everything measured.

    Samples are kept in the order in which they were taken, in the unit that their name carries.
    """

    schema_version: Literal[1] = SCHEMA
    variant: Slug
    implementation: Slug
    distribution: str
    source_hash: str = Field(pattern="^[0-9a-f]{64}$")
    case: Case
    device: DeviceFacts
    environment: Environment
    status: Status
    reason: str = Field(default="", max_length=4000)
    metrics: Mapping[str, Metric] = Field(default_factory=dict)
    samples: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    provenance: Provenance

    @property
    def id(self) -> str:
        """The SHA-256 of the canonical content."""
        return self.digest()

    @property
    def identity(self) -> str:
        """What makes two measurements the same measurement: implementation source, case, device, environment."""
        key = f"{self.variant}/{self.implementation}"
        return identity(key, self.source_hash, self.case, self.device, self.environment)


def identity(key: str, source_hash: str, case: Case, device: DeviceFacts, environment: Environment) -> str:
    """Return the hash under which a plan finds out that a result is already there.

    Args:
        key: the implementation, `variant/name`.
        source_hash: its sources.
        case: the workload.
        device: where it runs.
        environment: what it runs with.
    """
    parts = [key, source_hash, case.id, device.id, environment.digest()]
    return hashlib.sha256(rfc8785.dumps(parts)).hexdigest()


def write(record: Record, folder: Path) -> Path:
    """Write a record to `folder` under the hash of its content: whole or not at all.

    Raises:
        UserError: the folder cannot be written to.
    """
    path = folder / f"{record.id}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(record.canonical() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        raise UserError(f"cannot write a record to {folder}: {error.strerror}") from error
    return path


def read(text: bytes | str, source: str) -> Record:
    """Read one record.

    Args:
        text: its JSON.
        source: where it comes from, for the message.

    Raises:
        UserError: the text is no record, or one of a newer schema.
    """
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the text"
        raise UserError(f"{source}: not a record of schema {SCHEMA}: {where}: {first['msg']}") from None
