"""How numbers are written for people: three significant digits, in the unit that fits."""

import math

from attnbench.suite import Metric

_TIMES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def digits(value: float) -> str:
    """Write a number with three significant digits, with an exponent only where it would be long without."""
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2e}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def seconds(value: float) -> str:
    """Write a duration in the largest unit in which it is at least 1."""
    scale, unit = next(((scale, unit) for scale, unit in _TIMES if value >= scale), _TIMES[-1])
    return f"{digits(value / scale)} {unit}"


def size(value: float) -> str:
    """Write a number of bytes in the largest binary unit in which it is at least 1."""
    scale, unit = next(((scale, unit) for scale, unit in _SIZES if value >= scale), _SIZES[-1])
    return f"{digits(value / scale)} {unit}"


def ratio(value: float) -> str:
    """Write a factor."""
    return f"{digits(value)}×"


def percent(value: float) -> str:
    """Write a fraction as a percentage with one decimal."""
    return f"{100 * value:.1f} %"


def amount(value: float, unit: str) -> str:
    """Write a number of a metric's unit."""
    if unit == "B/token":
        return f"{size(value)} per token"
    if unit == "count":
        return f"{value:,.0f}"
    known = {"s": seconds, "B": size, "x": ratio, "fraction": percent}
    return known[unit](value) if unit in known else f"{digits(value)} {unit}".strip()


def quantity(metric: Metric) -> str:
    """Write a metric's value with its unit."""
    return amount(metric.value, metric.unit)


def spread(metric: Metric) -> str:
    """Write a metric's 95 % interval, or nothing where it has none."""
    if metric.low is None or metric.high is None:
        return ""
    return f"{amount(metric.low, metric.unit)} – {amount(metric.high, metric.unit)}"
