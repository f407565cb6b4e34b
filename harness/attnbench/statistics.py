"""Medians, in-block ratios and geometric means, with intervals. Pure functions, free of torch.

Samples of one block were taken close together and resemble each other, so that blocks, not samples, are resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median

import numpy as np
from scipy.stats import bootstrap

CONFIDENCE = 0.95
RESAMPLES = 999

__all__ = ["Blocks", "Interval", "block_medians", "geometric_mean", "in_block_ratios", "median_interval"]

Blocks = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Interval:
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's width, relative to the value."""
        return (self.high - self.low) / (2 * self.value)


def median_interval(values: Sequence[float]) -> Interval:
    """Return the median with its percentile bootstrap interval, the same for the same values.

    Raises:
        ValueError: fewer than two values, from which no interval can be had.
    """
    if len(values) < 2:
        raise ValueError("an interval needs two values or more")
    drawn = bootstrap(
        (np.asarray(values),),
        np.median,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    low, high = drawn.confidence_interval
    return Interval(median(values), float(low), float(high))


def block_medians(blocks: Blocks) -> list[float]:
    """Return the median of each block."""
    return [median(block) for block in blocks]


def in_block_ratios(numerator: Blocks, denominator: Blocks) -> list[float]:
    """Divide, block by block, the median of one competitor by that of another.

    What disturbed a block disturbed both alike, and cancels.

    Raises:
        ValueError: the competitors were not measured in the same blocks.
    """
    pairs = zip(block_medians(numerator), block_medians(denominator), strict=True)
    return [above / below for above, below in pairs]
