"""Scores over several results, and the ranks that their intervals allow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t

from attnbench.suite import Metric


@dataclass(frozen=True)
class Place:
    """The ranks that a score may have, given its interval and everybody else's.

    Attributes:
        best: one more than the number of scores that are separably better.
        worst: the number of scores less those that are separably worse.
        rivals: how many scores were ranked beside this one.
    """

    best: int
    worst: int
    rivals: int

    @property
    def tied(self) -> bool:
        """Whether the measurements cannot tell this score from some other one."""
        return self.best != self.worst

    @property
    def wins(self) -> bool:
        """Whether this score is better than all others beyond doubt, and there are others."""
        return self.best == self.worst == 1 and self.rivals > 0

    def __str__(self) -> str:
        return f"{self.best}–{self.worst}" if self.tied else str(self.best)


def places(scores: Sequence[Metric]) -> list[Place]:
    """Rank scores of which more is better. Scores whose 95 % intervals overlap are tied.

    Args:
        scores: metrics with an interval, in any order.

    Returns:
        One place per score, in the order given.
    """
    bounds = [interval(score) for score in scores]
    return [
        Place(
            best=1 + sum(other_low > high for other_low, _ in bounds),
            worst=len(bounds) - sum(other_high < low for _, other_high in bounds),
            rivals=len(bounds) - 1,
        )
        for low, high in bounds
    ]


def interval(metric: Metric) -> tuple[float, float]:
    """Return a metric's 95 % interval.

    Raises:
        ValueError: the metric has none, so it cannot be ranked.
    """
    if metric.low is None or metric.high is None:
        raise ValueError("a metric without an interval cannot be ranked")
    return metric.low, metric.high


def has_interval(metric: Metric) -> bool:
    """Say whether a metric can be ranked."""
    return metric.low is not None and metric.high is not None


def geometric_mean(metrics: Sequence[Metric]) -> Metric:
    """Average positive ratios of independent workloads; relative errors add in quadrature on the log scale."""
    mean = arithmetic_mean([_log(one) for one in metrics])
    low, high = interval(mean)
    return Metric(value=math.exp(mean.value), unit=metrics[0].unit, low=math.exp(low), high=math.exp(high))


def arithmetic_mean(metrics: Sequence[Metric]) -> Metric:
    """Average scores of independent workloads; their errors add in quadrature."""
    value = fmean(one.value for one in metrics)
    below = math.hypot(*(one.value - interval(one)[0] for one in metrics)) / len(metrics)
    above = math.hypot(*(interval(one)[1] - one.value for one in metrics)) / len(metrics)
    return Metric(value=value, unit=metrics[0].unit, low=value - below, high=value + above)


def over_repeats(metrics: Sequence[Metric]) -> Metric:
    """Average repeats of one workload: a t-interval over the repeats, or the only repeat's own interval."""
    if len(metrics) == 1:
        return metrics[0]
    values = [one.value for one in metrics]
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    value = fmean(values)
    return Metric(value=value, unit=metrics[0].unit, low=value - half, high=value + half)


def quotient(above: Metric, below: Metric) -> Metric:
    """Divide two independent positive measurements; without both intervals the quotient has none."""
    value = above.value / below.value
    if not (has_interval(above) and has_interval(below)):
        return Metric(value=value, unit="x")
    (above_low, above_high), (below_low, below_high) = interval(above), interval(below)
    down = math.hypot(math.log(above.value / above_low), math.log(below_high / below.value))
    up = math.hypot(math.log(above_high / above.value), math.log(below.value / below_low))
    return Metric(value=value, unit="x", low=value * math.exp(-down), high=value * math.exp(up))


def _log(metric: Metric) -> Metric:
    low, high = interval(metric)
    return Metric(value=math.log(metric.value), unit="", low=math.log(low), high=math.log(high))
