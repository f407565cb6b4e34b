"""What a site is made from: the store's results and the registry's facts, read once."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from attnbench.facts import DeviceFacts, VariantFacts
from attnbench.nouns import Status
from attnbench.registry.registry import Registry
from attnbench_reports.board import RULES, Board, boards
from attnbench_reports.outcomes import Outcome
from attnbench_reports.ranking import Group, Row
from attnbench_reports.standings import Standing


@dataclass(frozen=True)
class Achievement:
    """A contender's line on one board, for the page of its variant."""

    board: Board
    group: Group
    workloads: int
    row: Row


@dataclass(frozen=True)
class Content:
    """Everything that pages draw on.

    Attributes:
        outcomes: the newest outcomes, which the boards are made of.
        ids: content ids of all records, also of those that later ones superseded.
    """

    registry: Registry
    outcomes: tuple[Outcome, ...]
    ids: frozenset[str]

    @cached_property
    def boards(self) -> list[Board]:
        """The boards, by device and suite."""
        return boards(self.outcomes)

    @cached_property
    def devices(self) -> list[DeviceFacts]:
        """The devices that there are boards of, each once."""
        return list({board.device.id: board.device for board in self.boards}.values())

    @cached_property
    def variants(self) -> dict[str, VariantFacts | None]:
        """Variants that have a page, by slug; None for one that only results know."""
        slugs = self.registry.variants.keys() | {one.contender.variant for one in self.outcomes}
        return {slug: self.registry.variants.get(slug) for slug in sorted(slugs)}

    @property
    def newest(self) -> datetime | None:
        """When the newest result was started."""
        return max((one.started for one in self.outcomes), default=None)

    @property
    def digest(self) -> str:
        """The hash of all results: two sites with the same digest show the same results."""
        return hashlib.sha256("\n".join(sorted(self.ids)).encode()).hexdigest()

    @cached_property
    def superseded(self) -> frozenset[str]:
        """Records that no board shows, because a newer one took their place."""
        return self.ids - {one.id for one in self.outcomes}

    @cached_property
    def unproved(self) -> frozenset[str]:
        """Passed results of scored suites that may not be ranked, because no proof stands behind them."""
        scored = [one for one in self.outcomes if one.case.suite in RULES]
        return frozenset(one.id for one in scored if one.status is Status.PASSED and not one.ranked)

    def of_variant(self, slug: str) -> list[Outcome]:
        """Return a variant's outcomes, by suite, implementation, device and case."""
        own = [one for one in self.outcomes if one.contender.variant == slug]
        return sorted(own, key=lambda one: (one.case.suite, one.contender.implementation, one.device.id, one.case.id))

    def verdict(self, key: str, device: str) -> Standing | None:
        """Return what the correctness suite says of an implementation on a device, or None if it did not run there."""
        return self._verdicts.get((key, device))

    @cached_property
    def _verdicts(self) -> dict[tuple[str, str], Standing]:
        proofs = [board for board in self.boards if board.suite == "correctness"]
        return {(one.key, board.device.id): one for board in proofs for one in board.standings}

    def achievements(self, slug: str) -> list[Achievement]:
        """Return the lines that a variant's implementations have in rankings."""
        return [
            Achievement(board, ranking.group, len(ranking.workloads), row)
            for board in self.boards
            for ranking in board.rankings
            for row in (*ranking.ranked, *ranking.unranked)
            if row.contender.variant == slug
        ]
