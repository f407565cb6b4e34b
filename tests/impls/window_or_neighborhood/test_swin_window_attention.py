"""Shifted windows: what the reductions do not see."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.contract import Draw, Grid
from attnbench.errors import UserError
from attnbench_impls.kernels.windows import areas
from attnbench_impls.window_or_neighborhood.swin_window_attention import (
    SwinWindowAttention,
    WindowOperands,
    fused_windows,
    windows,
)

CORES = [SwinWindowAttention.mix, windows, fused_windows]
each_core = pytest.mark.parametrize("core", CORES, ids=["definition", "torch", "sdpa"])


def test_odd_layers_of_a_stack_are_shifted() -> None:
    layers = SwinWindowAttention.stack(3, 8, 2).layers
    assert [layer.shift_size for layer in layers] == [0, 3, 0]


@pytest.mark.parametrize(
    ("height", "width", "window", "shift"), [(7, 9, 7, 0), (9, 7, 7, 0), (3, 10, 3, 0), (1, 8, 1, 0), (8, 9, 7, 3)]
)
def test_windows_shrink_to_a_side_that_they_would_cover(height: int, width: int, window: int, shift: int) -> None:
    operands = SwinWindowAttention(8, 2, shift_size=3).project(Grid(x=torch.zeros(1, height, width, 8)))
    assert (operands.window, operands.shift) == (window, shift)


@each_core
def test_the_bias_is_read_by_query_minus_key_from_the_centre_of_the_table(core) -> None:
    table = torch.arange(25.0, dtype=torch.float64).reshape(1, 5, 5) / 10
    zero = torch.zeros(1, 1, 2, 2, 1, dtype=torch.float64)
    which_key = torch.eye(4, dtype=torch.float64).reshape(1, 1, 2, 2, 4)
    out = core(WindowOperands(q=zero, k=zero, v=which_key, table=table, window=2, shift=0, scale=1.0))
    # The query at row 1, column 0 lies (1, 0), (1, -1), (0, 0), (0, -1) from the four keys; the centre is (2, 2).
    expected = torch.stack([table[0, 3, 2], table[0, 3, 1], table[0, 2, 2], table[0, 2, 1]]).softmax(0)
    torch.testing.assert_close(out[0, 0, 1, 0], expected)


def _shifted(**settings: object) -> SwinWindowAttention:
    return Draw(1).module(SwinWindowAttention(8, 2, window_size=4, shift_size=2, **settings))


@each_core
def test_the_shift_does_not_couple_opposite_sides(core) -> None:
    module, x = _shifted().use(core), Draw(2).normal(1, 8, 8, 8)
    changed = x.clone()
    changed[:, :, 0] += Draw(3).normal(1, 8, 8)
    difference = (module(Grid(x=changed)).x - module(Grid(x=x)).x).abs().amax((0, 1, 3))
    assert (difference[:2] > 0).all()
    assert (difference[2:] == 0).all()


def test_official_padding_is_a_larger_map_of_zeros_before_the_projection() -> None:
    x = Draw(2).normal(2, 5, 9, 8)
    padded = F.pad(x, (0, 0, 0, 3, 0, 3))
    official, masked = _shifted(pad_mode="official"), _shifted()
    assert official.project(Grid(x=x)).q.shape == (2, 2, 8, 12, 4)
    torch.testing.assert_close(official(Grid(x=x)).x, masked(Grid(x=padded)).x[:, :5, :9])
    assert not torch.allclose(official(Grid(x=x)).x, masked(Grid(x=x)).x)


def test_official_padding_never_shrinks_a_window() -> None:
    operands = _shifted(pad_mode="official").project(Grid(x=torch.zeros(1, 3, 2, 8, dtype=torch.float64)))
    assert (operands.q.shape[2:4], operands.window, operands.shift) == ((4, 4), 4, 2)


@pytest.mark.parametrize("core", CORES[1:], ids=["torch", "sdpa"])
def test_windows_of_padding_alone_leave_no_trace_in_the_gradients(core) -> None:
    draw = Draw(5)
    leaves = [draw.normal(1, 1, 9, 9, 3).requires_grad_() for _ in range(3)]
    table = draw.normal(1, 13, 13).requires_grad_()
    weight = draw.normal(1, 1, 9, 9, 3)

    def gradients(some) -> tuple[Tensor, ...]:
        q, k, v = leaves
        out = some(WindowOperands(q=q, k=k, v=v, table=table, window=7, shift=3, scale=0.5))
        return torch.autograd.grad((out * weight).sum(), [*leaves, table])

    for got, expected in zip(gradients(core), gradients(SwinWindowAttention.mix), strict=True):
        torch.testing.assert_close(got, expected)


def test_areas_of_a_small_map() -> None:
    allowed = areas(4, 4, 2, 1, torch.device("cpu"))[:, 0]
    assert allowed[0].all()
    columns_apart = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1]]).bool()
    assert (allowed[1] == columns_apart).all()
    assert (allowed[3] == torch.eye(4).bool()).all()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"shift_size": 7}, "shift_size must lie in 0 to window_size - 1, got 7 with window 7"),
        ({"window_size": 0}, "got 0 with window 0"),
        ({"pad_mode": "mask"}, "did you mean masked"),
        ({"heads": 3}, "3 heads do not divide the width 8"),
    ],
)
def test_wrong_settings_are_named(settings, says: str) -> None:
    with pytest.raises(UserError, match=says):
        SwinWindowAttention(8, **{"heads": 2} | settings)
