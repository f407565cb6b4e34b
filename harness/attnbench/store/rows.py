"""Between records and rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from attnbench.nouns import Dtype, Status
from attnbench.record import Record
from attnbench.store import models
from attnbench.store.models import Ranking, Result
from attnbench.suite import Metric


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What reports read of a result. The record itself is in the store under `id`.

    Attributes:
        id: the hash of the record's content.
        version: the suite's version; results of different versions are not to be compared.
        case: the case's id.
        device: the device's id.
        environment: the digest of the environment.
        current: whether no later result has the same identity.
        ranked: whether it may be ranked: it passed, is current, and its implementation is proved.
    """

    id: str
    variant: str
    implementation: str
    source_hash: str
    suite: str
    version: int
    case: str
    dtype: Dtype
    device: str
    environment: str
    status: Status
    reason: str
    started: datetime
    current: bool
    ranked: bool
    metrics: Mapping[str, Metric]


def insert(session: Session, record: Record) -> None:
    """Add a record with the facts that it brings; the latest of one identity becomes the current one."""
    result = _result(session, record)
    result.current = _supersede(session, result)
    session.add(result)
    session.flush()


def stored(result: Result, ranked: bool) -> StoredResult:
    """Read a row, with its metrics, as what reports work on."""
    return StoredResult(
        id=result.id,
        variant=result.implementation.variant,
        implementation=result.implementation.name,
        source_hash=result.implementation.source_hash,
        suite=result.case.suite,
        version=result.case.version,
        case=result.case.id,
        dtype=result.dtype,
        device=result.device_id,
        environment=result.environment_digest,
        status=result.status,
        reason=result.reason,
        started=result.started,
        current=result.current,
        ranked=ranked,
        metrics={
            one.name: Metric(value=one.value, unit=one.unit, low=one.low, high=one.high) for one in result.metrics
        },
    )


def implementation_of(session: Session, record: Record) -> models.Implementation:
    """Find the row of a record's implementation, or make it."""
    key = {"variant": record.variant, "name": record.implementation, "source_hash": record.source_hash}
    found = session.scalar(select(models.Implementation).filter_by(**key))
    if found is None:
        found = models.Implementation(**key)
        session.add(found)
        session.flush()
    return found


def _result(session: Session, record: Record) -> Result:
    environment = record.environment
    return Result(
        id=record.id,
        identity=record.identity,
        implementation=implementation_of(session, record),
        distribution=record.distribution,
        case=session.merge(_case(record)),
        device=session.merge(_device(record)),
        environment=session.merge(
            models.Environment(digest=environment.digest(), python=environment.python, platform=environment.platform)
        ),
        status=record.status,
        reason=record.reason,
        started=record.provenance.started,
        metrics=[models.Metric(name=name, **metric.model_dump()) for name, metric in record.metrics.items()],
        json=record.canonical().decode(),
    )


def _case(record: Record) -> models.Case:
    case = record.case
    return models.Case(
        digest=case.digest(),
        id=case.id,
        suite=case.suite,
        version=case.version,
        kind=case.kind,
        layout=case.layout,
        pattern=case.pattern,
        dtype=case.dtype,
        profile=case.profile,
    )


def _device(record: Record) -> models.Device:
    device = record.device
    return models.Device(
        digest=device.digest(),
        id=device.id,
        kind=device.kind,
        name=device.name,
        driver=device.driver,
        memory_bytes=device.memory_bytes,
        threads=device.threads,
    )


def _supersede(session: Session, result: Result) -> bool:
    """Say whether a new result is the latest of its identity; if it is, the one before stops being current."""
    before = session.scalar(select(Result).where(Result.identity == result.identity, Result.current))
    if before is None:
        return True
    if (before.started, before.id) > (result.started, result.id):
        return False
    session.execute(delete(Ranking).where(Ranking.result_id == before.id))
    before.current = False
    session.flush()
    return True
