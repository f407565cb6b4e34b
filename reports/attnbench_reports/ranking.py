"""Who is ahead: contenders ranked on the same workloads, and apart from them those that cannot be ranked."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from attnbench.facts import Case
from attnbench.nouns import Dtype, Layout, Pattern, Profile, Status
from attnbench.suite import Metric
from attnbench_reports.outcomes import Contender, Outcome, pairs
from attnbench_reports.scores import Place, has_interval, over_repeats, places

UNPROVED = "no passed correctness result of the same code, dtype and device"


@dataclass(frozen=True)
class Rule:
    """How a suite's results become one score, of which more is better.

    Attributes:
        metric: the metric that is ranked.
        average: how workloads are averaged.
        repeats: options in which cases of one workload differ by chance only; their mean counts.
        sweeps: options that are tuned; the best value counts.
        tuned_by: the metric by which the best value is chosen, measured apart from the one that is ranked.
    """

    metric: str
    average: Callable[[Sequence[Metric]], Metric]
    repeats: frozenset[str] = frozenset()
    sweeps: frozenset[str] = frozenset()
    tuned_by: str = ""


@dataclass(frozen=True, order=True)
class Group:
    """Workloads that are ranked together, because the same contenders meet the same work in them."""

    kind: str
    layout: Layout
    pattern: Pattern
    dtype: Dtype
    profile: Profile

    @classmethod
    def of(cls, case: Case) -> "Group":
        """Return the group that a case belongs to."""
        return cls(case.kind, case.layout, case.pattern, case.dtype, case.profile)

    @property
    def title(self) -> str:
        """The group in words, without its profile."""
        names = dict.fromkeys([self.kind, self.pattern, self.layout, self.dtype])
        return ", ".join(name.replace("_", " ") for name in names)


@dataclass(frozen=True)
class Row:
    """A contender in a ranking.

    Attributes:
        cells: its outcomes by workload, in the ranking's order of workloads; several where a workload is repeated.
        score: the average over all workloads; None for a contender that is not ranked.
        place: the ranks that the score may have; None for a contender that is not ranked.
        reason: why it is not ranked, or empty.
    """

    contender: Contender
    cells: Mapping[str, tuple[Outcome, ...]]
    covered: int
    score: Metric | None = None
    place: Place | None = None
    reason: str = ""


@dataclass(frozen=True)
class Ranking:
    """Contenders on the same workloads, best first, and apart from them those that cannot be ranked.

    Attributes:
        shared: the extents and options that all workloads have in common.
        workloads: what they differ in, smallest first; empty for the only one.
        metric: name of the metric that is ranked.
    """

    group: Group
    metric: str
    shared: str
    workloads: tuple[str, ...]
    ranked: tuple[Row, ...]
    unranked: tuple[Row, ...]


def rank(outcomes: Iterable[Outcome], rule: Rule) -> list[Ranking]:
    """Rank contenders in each group of workloads; the largest profile comes first, and `forward` before other kinds."""
    groups: dict[Group, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(Group.of(one.case), []).append(one)
    sizes = list(Profile)

    def order(group: Group) -> tuple[int, bool, Group]:
        return -sizes.index(group.profile), group.kind != "forward", group

    return [_ranking(group, groups[group], rule) for group in sorted(groups, key=order)]


def _ranking(group: Group, outcomes: Sequence[Outcome], rule: Rule) -> Ranking:
    shared, labels = _labels([one.case for one in outcomes], rule)
    by_size = sorted(outcomes, key=lambda one: (_volume(one.case), one.case.id))
    workloads = tuple(dict.fromkeys(labels[one.case.id] for one in by_size))
    rows = [
        _row(contender, {name: tuple(one for one in mine if labels[one.case.id] == name) for name in workloads}, rule)
        for contender, mine in _by_contender(by_size).items()
    ]
    ranked = [(row, row.score) for row in rows if row.score is not None]
    placed = [
        (-score.value, replace(row, place=place))
        for (row, score), place in zip(ranked, places([score for _, score in ranked]), strict=True)
    ]
    best_first = tuple(row for _, row in sorted(placed, key=lambda one: one[0]))
    return Ranking(group, rule.metric, shared, workloads, best_first, tuple(row for row in rows if row.score is None))


def _by_contender(outcomes: Iterable[Outcome]) -> dict[Contender, list[Outcome]]:
    found: dict[Contender, list[Outcome]] = {}
    for one in outcomes:
        found.setdefault(one.contender, []).append(one)
    return {contender: found[contender] for contender in sorted(found, key=str)}


def _labels(cases: Sequence[Case], rule: Rule) -> tuple[str, dict[str, str]]:
    """Name workloads by what they differ in; return what they share, and each case's workload."""
    chance = rule.repeats | rule.sweeps
    extents = {
        case.id: {**case.shape, **{key: value for key, value in case.options.items() if key not in chance}}
        for case in cases
    }
    first = next(iter(extents.values()))
    shared = {key for key in first if all(key in one and one[key] == first[key] for one in extents.values())}
    if all(one.keys() == shared for one in extents.values()):
        return pairs(first), dict.fromkeys(extents, "")
    different = {id_: {key: one[key] for key in one if key not in shared} for id_, one in extents.items()}
    return pairs({key: first[key] for key in shared}), {id_: pairs(one) for id_, one in different.items()}


def _volume(case: Case) -> int:
    return math.prod(math.prod(size) if isinstance(size, tuple) else size for size in case.shape.values())


def _row(contender: Contender, cells: Mapping[str, tuple[Outcome, ...]], rule: Rule) -> Row:
    """Average over workloads if there is a ranked score for each of them; otherwise say what is missing."""
    settled = {name: _settle(cell, rule) for name, cell in cells.items()}
    scores = [one for one in settled.values() if isinstance(one, Metric)]
    if len(scores) == len(cells):
        return Row(contender, cells, len(scores), score=rule.average(scores))
    missing = [f"{name}: {why}" if name else why for name, why in settled.items() if isinstance(why, str)]
    return Row(contender, cells, len(scores), reason="; ".join(dict.fromkeys(missing)))


def _settle(cell: Sequence[Outcome], rule: Rule) -> Metric | str:
    """Return a workload's score, or why there is none: the best tuned value whose repeats all have a score."""
    if not cell:
        return "not measured"
    complete = [some for some in _by_tuning(cell, rule) if all(_trouble(one, rule) is None for one in some)]
    if not complete:
        return next(why for one in cell if (why := _trouble(one, rule)) is not None)
    best = max(complete, key=lambda some: fmean(one.metrics[rule.tuned_by or rule.metric].value for one in some))
    return over_repeats([one.metrics[rule.metric] for one in best])


def _by_tuning(cell: Iterable[Outcome], rule: Rule) -> Iterable[Sequence[Outcome]]:
    """Bring together the repeats of each value of the tuned options."""
    found: dict[str, list[Outcome]] = {}
    for one in cell:
        options = one.case.options
        found.setdefault(pairs({key: options[key] for key in rule.sweeps & options.keys()}), []).append(one)
    return found.values()


def _trouble(one: Outcome, rule: Rule) -> str | None:
    """Say why an outcome has no score that could be ranked, or None."""
    if one.status is not Status.PASSED:
        return f"{one.status}: {one.reason}" if one.reason else str(one.status)
    if not one.ranked:
        return UNPROVED
    missing = {rule.metric, rule.tuned_by or rule.metric} - one.metrics.keys()
    if missing:
        return f"no {min(missing)} was measured"
    return None if has_interval(one.metrics[rule.metric]) else f"{rule.metric} has no interval"
