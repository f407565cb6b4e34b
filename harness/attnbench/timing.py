"""The timer: competitors measured in the same blocks, in random order, over rotated inputs.

Import this module before anything under test: that binds the clocks.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, islice
from math import ceil
from random import Random
from statistics import median
from typing import Generic, TypeVar

from attnbench.clocks import CLOCKS, Call, Clock, cache_bytes, now_ns
from attnbench.statistics import in_block_ratios, median_interval

T = TypeVar("T")
Watch = Callable[[int, object], None]
Samples = list[list[float]]

WARM_S, WARM_CAP_S, WARM_SHARE = 0.2, 1.0, 0.1
STEADY = 1.05
FEWEST_BLOCKS = 6  # the fewest whose range covers the median with 95 %: 1 - 2 / 2**6
WANTED_BLOCKS, MOST_BLOCKS, MOST_SAMPLES = 16, 60, 5
MOST_SETS, MOST_SET_BYTES = 8, 2 * 2**30
CACHE_MULTIPLE = {"cpu": 4, "cuda": 5}


@dataclass(frozen=True)
class Timing:
    """What `time_paired` found, each by competitor.

    Attributes:
        blocks: blocks -> samples -> seconds a call.
        calls: calls that one sample lasts.
        first_call_s: seconds of the very first call, compilation and autotuning included.
    """

    blocks: Mapping[str, Samples]
    calls: Mapping[str, int]
    first_call_s: Mapping[str, float]


class Keeper(Generic[T]):
    """Copies the results of timed calls that nobody can foresee: one for each of a few sets of inputs.

    Among the results of a set, each is as likely to be the one that stays.

    Attributes:
        kept: set of inputs -> the copy.
    """

    def __init__(self, copy: Callable[[int, object], T], rng: Random, sets: int = 3) -> None:
        self.kept: dict[int, T] = {}
        self._copy, self._rng, self._sets = copy, rng, sets
        self._offered: Counter[int] = Counter()

    def __call__(self, index: int, result: object) -> None:
        """Take the result of a call on the given set of inputs, or pass it over."""
        if index not in self.kept and len(self.kept) == self._sets:
            return
        self._offered[index] += 1
        if self._rng.random() * self._offered[index] < 1:
            self.kept[index] = self._copy(index, result)


def time_paired(
    competitors: Mapping[str, Sequence[Call]],
    *,
    device: str,
    budget_s: float,
    target: float,
    rng: Random,
    watch: Mapping[str, Watch] | None = None,
) -> Timing:
    """Time competitors against each other.

    Each block takes the same number of samples of every competitor, in random order. Sampling stops when the ratio of
    any two competitors is known well enough, or when the budget is used, but never before `FEWEST_BLOCKS` blocks.

    Args:
        competitors: for each, its calls: one for each set of inputs, which are rotated through in random order.
        device: `cpu` or `cuda`.
        budget_s: seconds of sampling, beside the warm-up.
        target: relative half-width of the 95 % interval of the ratios, at which to stop.
        rng: source of the order; a secret one keeps it so.
        watch: for some competitors, what is shown the result of one randomly chosen call of each sample, off the
            clock, with the number of its set of inputs.
    """
    clock = CLOCKS[device]()
    lanes = {name: _Lane(calls, clock, rng) for name, calls in competitors.items()}
    with _undisturbed():
        for lane in lanes.values():
            lane.warm_up(min(WARM_S, WARM_SHARE * budget_s))
        blocks = _sample(lanes, budget_s, target, rng, watch or {})
    return Timing(
        blocks=blocks,
        calls={name: lane.calls_a_sample for name, lane in lanes.items()},
        first_call_s={name: lane.first_call_s for name, lane in lanes.items()},
    )


def rotated_sets(set_bytes: int, device: str) -> int:
    """Return how many sets of inputs flush the cache by themselves, within bounds of number and memory."""
    flushing = ceil(CACHE_MULTIPLE[device] * cache_bytes(device) / set_bytes) + 1
    return max(2, min(flushing, MOST_SETS, MOST_SET_BYTES // set_bytes))


class _Lane:
    """One competitor: its calls, the order in which they come, and what the warm-up found out about them."""

    def __init__(self, calls: Sequence[Call], clock: Clock, rng: Random) -> None:
        self.calls, self.clock, self.rng = calls, clock, rng
        self.turns = self._turns()
        self.calls_a_sample = 1
        self.first_call_s = self.call_s = 0.0

    def warm_up(self, busy_s: float) -> None:
        """Call until times are steady, and find out how many calls make a sample."""
        self.first_call_s = self.sample()
        taken: list[float] = []
        busy = 0.0
        while len(taken) < 3 or (busy < WARM_CAP_S and not (busy >= busy_s and _steady(taken))):
            taken.append(self.sample())
            busy += taken[-1]
        self.call_s = median(taken[-5:])
        self.calls_a_sample = max(1, ceil(self.clock.sample_s / self.call_s))

    def sample(self, watch: Watch | None = None) -> float:
        """Take one sample: seconds a call."""
        order = list(islice(self.turns, self.calls_a_sample))
        marked = self.rng.randrange(len(order))
        calls = [self.calls[index] for index in order]
        seconds, result = self.clock.time(calls[:marked], calls[marked], calls[marked + 1 :])
        if watch is not None:
            watch(order[marked], result)
        return seconds / len(order)

    def _turns(self) -> Iterator[int]:
        while True:
            yield from self.rng.sample(range(len(self.calls)), len(self.calls))


def _sample(
    lanes: Mapping[str, _Lane], budget_s: float, target: float, rng: Random, watch: Mapping[str, Watch]
) -> dict[str, Samples]:
    round_s = sum(lane.call_s * lane.calls_a_sample for lane in lanes.values())
    samples = max(1, min(MOST_SAMPLES, int(budget_s / (WANTED_BLOCKS * round_s))))
    blocks: dict[str, Samples] = {name: [] for name in lanes}
    end = now_ns() + int(budget_s * 1e9)
    for taken in range(1, MOST_BLOCKS + 1):
        turns = [name for name in lanes for _ in range(samples)]
        rng.shuffle(turns)
        for name in lanes:
            blocks[name].append([])
        for name in turns:
            blocks[name][-1].append(lanes[name].sample(watch.get(name)))
        if taken >= FEWEST_BLOCKS and (now_ns() > end or _known(blocks, target)):
            break
    return blocks


def _known(blocks: Mapping[str, Samples], target: float) -> bool:
    ratios = (in_block_ratios(one, other) for one, other in combinations(blocks.values(), 2))
    return all(median_interval(some).half_width <= target for some in ratios)


def _steady(taken: Sequence[float]) -> bool:
    """Say whether the medians of the last three groups of calls agree."""
    width = min(5, len(taken) // 3)
    groups = [median(taken[len(taken) - (back + 1) * width : len(taken) - back * width]) for back in range(3)]
    return max(groups) <= STEADY * min(groups)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the garbage collector from running inside a sample."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
