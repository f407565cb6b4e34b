"""How far is still right: each number below can be worked out by hand."""

import pytest
import torch

from attnbench.nouns import Dtype
from attnbench_suites.correctness.tolerance import BOUNDS, SMALL, bound, compare, relative_error


def heads(*rows: list[float]) -> torch.Tensor:
    """(1, H, 1, D), one row a head."""
    return torch.tensor(rows, dtype=torch.float64)[None, :, None]


def test_the_error_is_that_of_the_worst_head():
    expected = heads([3.0, 4.0], [0.6, 0.8])
    # the first head is off by 0.5 of 5, the second by 0.2 of 1
    got = heads([3.0, 4.5], [0.6, 1.0])
    assert relative_error(got, expected, typical=0.0) == pytest.approx(0.2)


def test_small_heads_are_measured_against_the_others():
    expected = heads([1.0, 1.0], [0.0, 0.0])
    got = heads([1.0, 1.0], [1e-3, 1e-3])
    assert relative_error(got, expected, typical=0.5) == pytest.approx(1e-3 / (SMALL * 0.5))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (2, 0, 4)])
def test_any_shape_has_an_error(shape):
    expected = torch.ones(shape, dtype=torch.float64)
    assert relative_error(expected, expected, 1.0) == 0.0
    if expected.numel():
        assert relative_error(1.5 * expected, expected, 1.0) == pytest.approx(0.5)


def test_zero_where_zero_is_right_is_right():
    nothing = torch.zeros(2, 3, dtype=torch.float64)
    assert compare({"out": nothing}, {"out": nothing}, 1e-10).passed


def test_beside_nothing_but_zeros_an_error_has_no_size():
    ones = torch.ones(1, 2, 3, 4, dtype=torch.float64)
    found = compare({"out": ones}, {"out": 0 * ones}, 1e-2)
    assert (found.passed, found.error) == (False, None)
    assert "relative error inf > 1e-02" in found.reason


ONES = {"out": torch.ones(1, 2, 3, 4, dtype=torch.float64)}
REFUSED = {
    "another name": ({"mixed": ONES["out"]}, "returned ['mixed'], the definition returns ['out']"),
    "too few": ({}, "returned []"),
    "another shape": ({"out": ONES["out"][0]}, "out: shape (2, 3, 4), expected (1, 2, 3, 4)"),
    "too far": ({"out": ONES["out"] * 1.1}, "out: relative error 1.00e-01 > 1e-02; worst at [0, 0, 0, 0]: expected 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_differs_is_said(name):
    got, words = REFUSED[name]
    found = compare(got, ONES, 1e-2)
    assert not found.passed
    assert words in found.reason


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_one_number_that_is_none_is_too_many(value):
    got = ONES["out"].clone()
    got[0, 1, 2, 3] = float(value)
    found = compare({"out": got}, ONES, 1e9)
    assert not found.passed
    assert found.reason == f"out[0, 1, 2, 3] is {value}"


def test_integers_are_compared_exactly():
    right = {"selected": torch.tensor([1, 2, 3])}
    assert compare({"selected": torch.tensor([1, 2, 3])}, right, 1.0).passed
    found = compare({"selected": torch.tensor([1, 2, 4])}, right, 1.0)
    assert found.reason == "selected: worst at [2]: expected 3, got 4"


def test_the_line_is_part_of_what_passes():
    assert compare({"out": ONES["out"] * 1.125}, ONES, 0.125).passed
    assert not compare({"out": ONES["out"] * 1.125}, ONES, 0.1249).passed


def test_bounds_widen_with_the_format_and_for_gradients():
    order = [Dtype.FLOAT64, Dtype.FLOAT32, Dtype.FLOAT16, Dtype.BFLOAT16]
    assert set(BOUNDS) == set(order)
    for gradients in (False, True):
        limits = [bound(dtype, gradients=gradients) for dtype in order]
        assert limits == sorted(limits)
    assert all(bound(dtype, gradients=True) > bound(dtype, gradients=False) for dtype in order)


@pytest.mark.parametrize("dtype", list(Dtype))
def test_rounding_once_passes_and_the_next_narrower_format_does_not(dtype):
    right = torch.randn(2, 4, 64, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    narrower = {
        Dtype.FLOAT64: torch.float32,
        Dtype.FLOAT32: torch.bfloat16,
        Dtype.FLOAT16: torch.bfloat16,
        Dtype.BFLOAT16: torch.float8_e4m3fn,
    }
    limit = bound(dtype, gradients=False)
    assert compare({"out": right.to(getattr(torch, dtype))}, {"out": right}, limit).passed
    assert not compare({"out": right.to(narrower[dtype])}, {"out": right}, limit).passed
