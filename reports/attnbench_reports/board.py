"""Boards: one per suite and device, each with what was proved and, where the suite has a score, who is ahead."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from attnbench.facts import DeviceFacts
from attnbench_reports.outcomes import Outcome
from attnbench_reports.ranking import Ranking, Rule, rank
from attnbench_reports.scores import arithmetic_mean, geometric_mean
from attnbench_reports.standings import Standing, standings

RULES: Mapping[str, Rule] = {
    "latency": Rule("ratio", geometric_mean),
    "accuracy": Rule(
        "accuracy",
        arithmetic_mean,
        repeats=frozenset({"seed"}),
        sweeps=frozenset({"lr"}),
        tuned_by="validation_accuracy",
    ),
}


@dataclass(frozen=True)
class Board:
    """One suite on one device."""

    suite: str
    version: int
    device: DeviceFacts
    standings: tuple[Standing, ...]
    rankings: tuple[Ranking, ...]


def boards(outcomes: Iterable[Outcome]) -> list[Board]:
    """Make all boards: by device, then by suite, those with a ranking first."""
    places = {suite: place for place, suite in enumerate(RULES)}

    def order(one: Outcome) -> tuple[str, int, str]:
        return one.device.id, places.get(one.case.suite, len(places)), one.case.suite

    grouped = groupby(sorted(outcomes, key=order), key=order)
    return [_board(list(some)) for _, some in grouped]


def _board(outcomes: Sequence[Outcome]) -> Board:
    latest = max(outcomes, key=lambda one: (one.started, one.id))
    suite = latest.case.suite
    rankings = rank(outcomes, RULES[suite]) if suite in RULES else []
    return Board(suite, latest.case.version, latest.device, tuple(standings(outcomes)), tuple(rankings))
