"""What boards are made of: the newest result of each implementation on each case and device."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from attnbench.facts import Case, DeviceFacts, Extent, Scalar
from attnbench.nouns import Status
from attnbench.record import Record
from attnbench.store import Store
from attnbench.suite import Metric

HEADLINES = ("latency", "accuracy", "error")


@dataclass(frozen=True)
class Contender:
    """Who competes on a board: an implementation, built with certain hyperparameters."""

    variant: str
    implementation: str
    settings: str = ""

    @property
    def key(self) -> str:
        """The implementation's name, as users write it."""
        return f"{self.variant}/{self.implementation}"

    def __str__(self) -> str:
        return f"{self.key} ({self.settings})" if self.settings else self.key


@dataclass(frozen=True)
class Outcome:
    """One result, without its samples.

    Attributes:
        id: the record's content id.
        ranked: whether it passed, and a passed correctness result of the same code, dtype and device stands behind it.
    """

    id: str
    contender: Contender
    case: Case
    device: DeviceFacts
    status: Status
    reason: str
    metrics: Mapping[str, Metric]
    started: datetime
    ranked: bool

    @property
    def headline(self) -> Metric | None:
        """The number that people look for: the latency, the accuracy, or the error."""
        return next((self.metrics[name] for name in HEADLINES if name in self.metrics), None)

    @classmethod
    def of(cls, record: Record, ranked: bool) -> "Outcome":
        """Take from a record what boards need."""
        return cls(
            id=record.id,
            contender=Contender(record.variant, record.implementation, pairs(record.case.settings)),
            case=record.case,
            device=record.device,
            status=record.status,
            reason=record.reason,
            metrics=record.metrics,
            started=record.provenance.started,
            ranked=ranked,
        )


def pairs(group: Mapping[str, Scalar | Extent] | Mapping[str, Scalar] | Mapping[str, Extent]) -> str:
    """Write settings, options or a shape in one line: `batch=1, n=512`."""
    return ", ".join(f"{key}={_plain(group[key])}" for key in sorted(group))


def read(
    store: Store, suite: str | None = None, device: str | None = None, variant: str | None = None
) -> list[Outcome]:
    """Read the newest outcomes from the store; a suite's older versions are left out."""
    results = store.results(suite=suite, device=device, variant=variant)
    ranked = {result.id for result in results if result.ranked}
    records = store.records(suite=suite, device=device, variant=variant, current=True)
    return newest(Outcome.of(record, record.id in ranked) for record in records)


def newest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """Keep the newest outcome of each contender, case and device, of the newest version of each suite."""
    kept: dict[tuple[Contender, str, str], Outcome] = {}
    for one in sorted(outcomes, key=lambda one: (one.started, one.id)):
        kept[one.contender, one.case.id, one.device.id] = one
    version: dict[str, int] = {}
    for one in kept.values():
        version[one.case.suite] = max(one.case.version, version.get(one.case.suite, 0))
    return [one for one in kept.values() if one.case.version == version[one.case.suite]]


def _plain(value: Scalar | Extent) -> str:
    return "×".join(map(str, value)) if isinstance(value, tuple) else str(value)
