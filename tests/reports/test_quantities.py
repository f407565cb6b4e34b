import pytest

from attnbench.suite import Metric
from attnbench_reports.quantities import digits, quantity, seconds, size, spread


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1, "1.00"),
        (12.34, "12.3"),
        (123.4, "123"),
        (0.01234, "0.0123"),
        (2e-7, "2.00e-07"),
        (54321, "54,321"),
    ],
)
def test_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_units_fit() -> None:
    assert [seconds(one) for one in (2.0, 0.0123, 4.5e-5, 1e-10)] == ["2.00 s", "12.3 ms", "45.0 µs", "0.100 ns"]
    assert [size(one) for one in (512, 2048, 3 * 2**30)] == ["512 B", "2.00 KiB", "3.00 GiB"]


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (Metric(value=1.5, unit="x"), "1.50×"),
        (Metric(value=0.973, unit="fraction"), "97.3 %"),
        (Metric(value=4096, unit="B/token"), "4.00 KiB per token"),
        (Metric(value=12345, unit="count"), "12,345"),
        (Metric(value=1.25, unit="nats"), "1.25 nats"),
    ],
)
def test_quantity(metric: Metric, text: str) -> None:
    assert quantity(metric) == text


def test_spread() -> None:
    assert spread(Metric(value=1e-3, unit="s", low=9e-4, high=1.1e-3)) == "900 µs – 1.10 ms"
    assert spread(Metric(value=1e-3, unit="s")) == ""
