"""Two contenders side by side: the same workloads, the same device."""

from collections.abc import Iterable
from dataclasses import dataclass

from attnbench.errors import unknown
from attnbench.facts import DeviceFacts
from attnbench.suite import Metric
from attnbench_reports.board import RULES, boards
from attnbench_reports.outcomes import Contender, Outcome, pairs
from attnbench_reports.scores import quotient
from attnbench_reports.standings import Standing

Workload = tuple[str, str, str, str, str, str, str]


@dataclass(frozen=True)
class Pair:
    """Both sides' outcomes on one workload.

    Attributes:
        speedup: how many times faster the left side is, above 1 for faster; only where both are ranked.
    """

    suite: str
    workload: str
    device: DeviceFacts
    left: Outcome
    right: Outcome
    speedup: Metric | None


@dataclass(frozen=True)
class Comparison:
    """What is known of two contenders.

    Attributes:
        standings: what the correctness suite says of the implementations on either side, by device.
        pairs: scored workloads that both sides have results of.
    """

    standings: tuple[tuple[DeviceFacts, Standing], ...]
    pairs: tuple[Pair, ...]


def compare(outcomes: Iterable[Outcome], left: str, right: str) -> Comparison:
    """Compare two names, each a variant or one of its implementations (`variant/implementation`).

    A bare variant stands for its best implementation on each workload: a ranked one before an unranked one, then the
    fastest or most accurate.

    Raises:
        UserError: there is no result of one of the names.
    """
    known = list(outcomes)
    sides = [_named(known, name) for name in (left, right)]
    mine, theirs = (_best(side) for side in sides)
    judged = [one for one in known if not {left, right}.isdisjoint(_names(one.contender))]
    return Comparison(
        standings=tuple((b.device, one) for b in boards(judged) if b.suite == "correctness" for one in b.standings),
        pairs=tuple(_pair(key, mine[key], theirs[key]) for key in sorted(mine.keys() & theirs.keys())),
    )


def _named(outcomes: list[Outcome], name: str) -> list[Outcome]:
    own = [one for one in outcomes if name in _names(one.contender)]
    if not own:
        raise unknown("name among the results", name, {known for one in outcomes for known in _names(one.contender)})
    return own


def _best(own: list[Outcome]) -> dict[Workload, Outcome]:
    """Keep the best outcome of each workload of the suites that have a score."""
    best: dict[Workload, Outcome] = {}
    scored = [one for one in own if one.case.suite in RULES]
    for one in sorted(scored, key=lambda one: (one.ranked, _merit(one), str(one.contender), one.id)):
        best[_workload(one)] = one
    return best


def _names(contender: Contender) -> tuple[str, str]:
    return contender.variant, contender.key


def _merit(one: Outcome) -> float:
    metric = one.metrics.get(RULES[one.case.suite].metric)
    return metric.value if metric else 0.0


def _workload(one: Outcome) -> Workload:
    case = one.case
    data = pairs({**case.shape, **case.options})
    return case.suite, one.device.id, case.kind, case.layout, case.pattern, case.dtype, data


def _pair(key: Workload, left: Outcome, right: Outcome) -> Pair:
    suite, _, *workload = key
    return Pair(suite, " · ".join(workload), left.device, left, right, _speedup(left, right))


def _speedup(left: Outcome, right: Outcome) -> Metric | None:
    """Divide the ratios to the common baseline, which was timed beside each: so the machine's drift cancels."""
    if not (left.ranked and right.ranked and "ratio" in left.metrics and "ratio" in right.metrics):
        return None
    return quotient(left.metrics["ratio"], right.metrics["ratio"])
