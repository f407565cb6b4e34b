"""What suites say of each implementation: counts of cases, the failures, and how close the bound came."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from attnbench.nouns import Dtype, Status
from attnbench_reports.outcomes import Outcome


@dataclass(frozen=True)
class Tally:
    """How many cases passed, failed, or are unsupported."""

    passed: int = 0
    failed: int = 0
    unsupported: int = 0


@dataclass(frozen=True)
class Margin:
    """The passed case that came closest to its bound."""

    error: float
    bound: float
    outcome: Outcome


@dataclass(frozen=True)
class Standing:
    """What a suite says of an implementation, over all settings.

    Attributes:
        tallies: counts by dtype.
        failures: the outcomes that neither passed nor are unsupported.
    """

    variant: str
    implementation: str
    tallies: Mapping[Dtype, Tally]
    failures: tuple[Outcome, ...]
    margin: Margin | None

    @property
    def key(self) -> str:
        """The implementation's name, as users write it."""
        return f"{self.variant}/{self.implementation}"

    @property
    def badge(self) -> str:
        """One word: `failed` if anything failed, `passed` if something passed, else `unsupported`."""
        if self.failures:
            return "failed"
        return "passed" if any(tally.passed for tally in self.tallies.values()) else "unsupported"


def standings(outcomes: Iterable[Outcome]) -> list[Standing]:
    """Count outcomes by implementation and dtype."""

    def order(one: Outcome) -> tuple[str, bool, str]:
        return one.contender.variant, one.contender.implementation != "reference", one.contender.implementation

    return [_standing(list(some)) for _, some in groupby(sorted(outcomes, key=order), key=order)]


def _standing(outcomes: Sequence[Outcome]) -> Standing:
    tallies = {
        dtype: tally([one.status for one in outcomes if one.case.dtype is dtype])
        for dtype in Dtype
        if any(one.case.dtype is dtype for one in outcomes)
    }
    failures = tuple(one for one in outcomes if one.status not in {Status.PASSED, Status.UNSUPPORTED})
    who = outcomes[0].contender
    return Standing(who.variant, who.implementation, tallies, failures, _margin(outcomes))


def tally(statuses: Sequence[Status]) -> Tally:
    """Count statuses; whatever is neither passed nor unsupported has failed."""
    passed, unsupported = statuses.count(Status.PASSED), statuses.count(Status.UNSUPPORTED)
    return Tally(passed, len(statuses) - passed - unsupported, unsupported)


def _margin(outcomes: Iterable[Outcome]) -> Margin | None:
    margins = [
        Margin(one.metrics["error"].value, one.metrics["bound"].value, one)
        for one in outcomes
        if one.status is Status.PASSED and {"error", "bound"} <= one.metrics.keys() and one.metrics["bound"].value > 0
    ]
    return max(margins, key=lambda one: (one.error / one.bound, one.outcome.id), default=None)
