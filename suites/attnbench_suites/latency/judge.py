"""The one judge of the latency suite: are these times, of this computation, and known well enough to be ranked?"""

from collections.abc import Mapping
from itertools import groupby
from math import isfinite
from typing import Any

from attnbench.contract import Attention
from attnbench.execute.subject import Measurement
from attnbench.facts import Case
from attnbench.nouns import Status
from attnbench.statistics import Interval, block_medians, in_block_ratios, median_interval
from attnbench.suite import Metric, Verdict
from attnbench_suites.latency.cases import EFFORTS
from attnbench_suites.latency.recheck import recheck

UNITS: Mapping[str, str] = {"first_call_s": "s", "rotated_sets": "", "cache_multiple": "x", "state_bytes": "B/token"}


def judge(variant: type[Attention[Any, Any, Any]], case: Case, seed: int, measured: Measurement) -> Verdict:
    """Check the kept results, then say how long a call takes, and how often it fits into the baseline's time."""
    wrong = recheck(variant, case, seed, measured.tensors)
    if wrong:
        return Verdict.wrong(wrong)
    samples = measured.samples
    if not all(isfinite(one) and one > 0 for name in ("implementation_s", "baseline_s") for one in samples[name]):
        return Verdict(status=Status.IMPOSSIBLE, reason="a call took no time")
    implementation, baseline = (blocks(samples, name) for name in ("implementation_s", "baseline_s"))
    ratio = median_interval(in_block_ratios(baseline, implementation))
    metrics = {
        "latency": _metric(median_interval(block_medians(implementation)), "s"),
        "baseline": _metric(median_interval(block_medians(baseline)), "s"),
        "ratio": _metric(ratio, "x"),
    }
    metrics |= {
        name.removesuffix("_s"): Metric(value=measured.numbers[name], unit=unit)
        for name, unit in UNITS.items()
        if name in measured.numbers
    }
    limit = EFFORTS[case.profile].limit
    if ratio.half_width > limit:
        reason = f"after {len(implementation)} blocks the ratio is known to {ratio.half_width:.1%}, not to {limit:.0%}"
        return Verdict(status=Status.UNCONVERGED, reason=reason, metrics=metrics)
    return Verdict.passed(**metrics)


def blocks(samples: Mapping[str, list[float]], name: str) -> list[list[float]]:
    """Divide the samples of one name into the blocks that they were taken in."""
    pairs = zip(samples["block_index"], samples[name], strict=True)
    return [[one for _, one in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]


def _metric(interval: Interval, unit: str) -> Metric:
    return Metric(value=interval.value, unit=unit, low=interval.low, high=interval.high)
