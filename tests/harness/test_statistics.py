import pytest

from attnbench.statistics import Interval, block_medians, geometric_mean, in_block_ratios, median_interval


def test_half_width_is_relative_to_the_value():
    assert Interval(value=4.0, low=3.0, high=5.0).half_width == 0.25


def test_equal_values_have_an_interval_of_no_width():
    assert median_interval([3.0] * 8) == Interval(3.0, 3.0, 3.0)


def test_the_interval_holds_the_median_and_stays_within_the_values():
    values = [1.0, 2.0, 3.0, 4.0, 100.0, 3.5, 2.5]
    found = median_interval(values)
    assert found.value == 3.0
    assert 1.0 <= found.low < 3.0 < found.high < 100.0
    assert median_interval(values) == found


def test_more_values_are_known_better():
    few, many = [1.0, 1.1, 0.9, 1.2, 0.8, 1.0], [1.0, 1.1, 0.9, 1.2, 0.8, 1.0] * 10
    assert median_interval(many).half_width < median_interval(few).half_width


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_value_has_no_interval(values):
    with pytest.raises(ValueError, match="two values"):
        median_interval(values)


def test_ratios_are_taken_block_by_block():
    slow, fast = [[2.0, 4.0, 90.0], [6.0]], [[1.0, 2.0, 2.0], [3.0]]
    assert block_medians(slow) == [4.0, 6.0]
    assert in_block_ratios(slow, fast) == [2.0, 2.0]


def test_competitors_of_unequal_blocks_cannot_be_paired():
    with pytest.raises(ValueError, match="shorter"):
        in_block_ratios([[1.0], [2.0]], [[1.0]])


def test_geometric_mean_of_inverse_ratios_is_one():
    assert geometric_mean([4.0, 0.25]) == pytest.approx(1.0)
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
