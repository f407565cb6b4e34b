"""Scattered linear attention: what the reductions do not see."""

import pytest
import torch
from torch import Tensor

from attnbench.contract import Draw, Ragged
from attnbench.errors import UserError
from attnbench_impls.linear.scattered_linear_attention import (
    ScatteredLinearAttention,
    WindowOperands,
    tiles,
)

CORES = pytest.mark.parametrize("core", [ScatteredLinearAttention.mix, tiles])


def windows(draw: Draw, counts: list[int]) -> WindowOperands:
    q, k, v = (draw.normal(sum(counts), 2, 4) for _ in range(3))
    return WindowOperands(q=q, k=k, v=v, offsets=torch.tensor([0, *counts]).cumsum(0), eps=1e-6)


@CORES
def test_two_rows_by_hand(core):
    def heads(*rows: list[float]) -> Tensor:
        return torch.tensor(rows, dtype=torch.float64)[:, None]

    operands = WindowOperands(
        q=heads([1, 2], [-1, 3]),
        k=heads([2, 0], [1, 1]),
        v=heads([10, 0], [0, 10]),
        offsets=torch.tensor([0, 2]),
        eps=1.0,
    )
    # row 0 weighs its keys with 2 and 3; row 1's relu leaves (0, 3), which weighs them with 0 and 3
    assert torch.allclose(core(operands)[:, 0], heads([20 / 6, 30 / 6], [0, 30 / 4])[:, 0])


@CORES
def test_empty_windows_change_nothing(core):
    operands = windows(Draw(0), [3, 40, 5])
    with_gaps = operands.with_tensors({"offsets": torch.tensor([0, 0, 3, 43, 43, 43, 48, 48])})
    assert torch.equal(core(operands), core(with_gaps))


@CORES
def test_no_rows_at_all(core):
    assert core(windows(Draw(0), [0, 0])).shape == (0, 2, 4)


@CORES
def test_windows_do_not_interact(core):
    operands = windows(Draw(1), [7, 33, 2])
    other = {name: getattr(operands, name).clone() for name in "qkv"}
    for tensor in other.values():
        tensor[7:40] += 1
    changed = (core(operands) - core(operands.with_tensors(other))).abs().amax((1, 2)) > 0
    assert changed.tolist() == [False] * 7 + [True] * 33 + [False] * 2


@CORES
def test_rows_that_meet_nothing_are_zero_with_finite_gradients(core):
    operands = windows(Draw(2), [4, 3])
    q = (-operands.q.abs()).requires_grad_()
    out = core(operands.with_tensors({"q": q}))
    out.sum().backward()
    assert not out.any()
    assert not q.grad.any()


def test_half_precision_sums_do_not_overflow():
    ones = torch.full((100, 1, 2), 200.0, dtype=torch.float16)
    out = tiles(WindowOperands(q=ones, k=ones, v=ones, offsets=torch.tensor([0, 100]), eps=1e-6))
    assert torch.equal(out, ones)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(UserError, match="3 heads do not divide the width 8"):
        ScatteredLinearAttention(8, 3)


def test_columns_are_q_then_k_then_v_with_contiguous_heads():
    draw = Draw(3)
    module = draw.module(ScatteredLinearAttention(8, 2))
    x = draw.normal(5, 8)
    operands = module.project(Ragged(x=x, offsets=torch.tensor([0, 5])))
    weight = module.w_qkv.weight
    assert torch.allclose(operands.q[:, 1], x @ weight[4:8].T)
    assert torch.allclose(operands.k[:, 0], x @ weight[8:12].T)
    assert torch.allclose(operands.v[:, 1], x @ weight[20:24].T)
