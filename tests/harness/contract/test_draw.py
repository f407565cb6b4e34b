"""Random values: the same for the same seed, wherever they are drawn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnbench.contract import Draw, Trial

SEEDS = st.integers(0, 2**53 - 1)


def everything(draw: Draw) -> list[torch.Tensor]:
    return [
        draw.normal(2, 3),
        draw.uniform(4, low=-2.0, high=3.0),
        draw.integers(-1, 2, 5),
        draw.boolean(6),
        draw.permutation(7),
        draw.module(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)))[1].running_var,
    ]


@given(SEEDS)
def test_a_seed_decides_everything(seed):
    pairs = zip(everything(Draw(seed)), everything(Draw(seed)), strict=True)
    assert all(torch.equal(first, second) for first, second in pairs)


def test_another_seed_gives_other_values():
    assert not torch.equal(Draw(0).normal(8), Draw(1).normal(8))


def test_the_dtype_only_rounds():
    assert torch.equal(Draw(3, torch.float32).normal(9), Draw(3).normal(9).float())


@given(SEEDS, st.integers(-9, 9), st.integers(0, 9))
def test_integers_include_both_ends_and_nothing_beyond(seed, low, width):
    drawn = Draw(seed).integers(low, low + width, 40)
    assert int(drawn.min()) >= low
    assert int(drawn.max()) <= low + width
    assert set(Draw(0).integers(low, low + 1, 200).tolist()) == {low, low + 1}
    assert low <= Draw(seed).integer(low, low + width) <= low + width


@given(SEEDS)
def test_a_permutation_holds_each_number_once(seed):
    assert sorted(Draw(seed).permutation(11).tolist()) == list(range(11))


@given(SEEDS)
def test_uniform_values_stay_in_their_range(seed):
    drawn = Draw(seed).uniform(50, low=2.0, high=2.5)
    assert bool(((drawn >= 2.0) & (drawn < 2.5)).all())


def test_probabilities_of_booleans():
    assert Draw(0).boolean(10_000, probability=0.8).double().mean().item() == pytest.approx(0.8, abs=0.02)


def test_modules_are_moved_away_from_zero_gates_and_unit_gains():
    module = nn.Sequential(nn.Linear(400, 50), nn.LayerNorm(50), nn.BatchNorm1d(50))
    nn.init.zeros_(module[0].weight)
    drawn = Draw(0).module(module.train())
    assert not drawn.training
    assert {parameter.dtype for parameter in drawn.parameters()} == {torch.float64}
    assert drawn[0].weight.var().item() == pytest.approx(1 / 400, rel=0.05)
    assert drawn[1].weight.std().item() == pytest.approx(0.3, rel=0.3)
    assert drawn[2].running_mean.abs().min() > 0
    assert 0.5 <= drawn[2].running_var.min() < drawn[2].running_var.max() <= 1.5


def test_a_trial_puts_the_core_under_test_into_a_module():
    def core(operands):
        return operands

    module = Trial(0, core, 3).attention(nn.Linear(2, 2))
    assert module.core is core
