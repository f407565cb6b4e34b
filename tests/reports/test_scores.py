import math

import pytest

from attnbench.suite import Metric
from attnbench_reports.scores import arithmetic_mean, geometric_mean, over_repeats, places, quotient


def metric(value: float, low: float | None = None, high: float | None = None, unit: str = "x") -> Metric:
    return Metric(value=value, unit=unit, low=low, high=high)


def test_separated_intervals_give_plain_ranks() -> None:
    found = places([metric(1, 0.9, 1.1), metric(3, 2.9, 3.1), metric(2, 1.9, 2.1)])
    assert [str(one) for one in found] == ["3", "1", "2"]
    assert [one.wins for one in found] == [False, True, False]


def test_overlap_ties_and_is_not_transitive() -> None:
    # 4 overlaps 3.5, 3.5 overlaps 3, but 4 and 3 are separable.
    found = places([metric(4, 3.6, 4.4), metric(3.5, 3.1, 3.9), metric(3, 2.6, 3.4), metric(1, 0.9, 1.1)])
    assert [str(one) for one in found] == ["1–2", "1–3", "2–3", "4"]
    assert not any(one.wins for one in found)


def test_touching_intervals_are_tied() -> None:
    assert [str(one) for one in places([metric(2, 1.5, 2.5), metric(1, 0.5, 1.5)])] == ["1–2", "1–2"]


def test_nobody_wins_alone() -> None:
    (only,) = places([metric(2, 1.9, 2.1)])
    assert str(only) == "1"
    assert not only.wins


def test_a_score_without_an_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="without an interval"):
        places([metric(2)])


def test_geometric_mean_by_hand() -> None:
    # log2: values 1 and 3, half-widths 1 and 1 -> mean 2, half-width sqrt(2)/2.
    mean = geometric_mean([metric(2, 1, 4), metric(8, 4, 16)])
    assert mean.value == pytest.approx(4)
    assert mean.low == pytest.approx(2 ** (2 - math.sqrt(0.5)))
    assert mean.high == pytest.approx(2 ** (2 + math.sqrt(0.5)))
    assert mean.unit == "x"


def test_mean_of_one_keeps_its_interval() -> None:
    alone = metric(3, 2, 5)
    for average in (arithmetic_mean, geometric_mean):
        found = average([alone])
        assert (found.value, found.low, found.high) == pytest.approx((3, 2, 5))


def test_repeats_get_a_t_interval() -> None:
    # values 1, 2, 3: s.d. 1, t(0.975, 2) = 4.302653.
    found = over_repeats([metric(value, value, value) for value in (1, 2, 3)])
    assert found.value == pytest.approx(2)
    assert (found.low, found.high) == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)))


def test_one_repeat_keeps_its_own_interval() -> None:
    assert over_repeats([metric(0.9, 0.8, 0.95)]) == metric(0.9, 0.8, 0.95)


def test_quotient_by_hand() -> None:
    found = quotient(metric(8, 4, 16), metric(2, 1, 4))
    assert found.value == pytest.approx(4)
    assert (found.low, found.high) == pytest.approx((4 / 2 ** math.sqrt(2), 4 * 2 ** math.sqrt(2)))


def test_quotient_without_intervals_has_none() -> None:
    assert quotient(metric(8), metric(2, 1, 4)) == metric(4)
