"""Chronos-2's group attention: what the reductions do not see."""

from dataclasses import replace
from math import exp

import pytest
import torch
from torch import Tensor

from attnbench.contract import Draw, Extras, GroupedSet, Unsupported
from attnbench_impls.grouped_set.chronos_group_attention import (
    ChronosGroupAttention,
    GroupOperands,
    by_size,
    dense,
)

CORES = pytest.mark.parametrize("core", [ChronosGroupAttention.mix, dense, by_size])
IDS = torch.tensor([4, -2, 4, 9, -2, 4])


def operands_of(draw: Draw, observed: Tensor) -> GroupOperands:
    q, k, v = (draw.normal(3, 2, 6, 4) for _ in range(3))
    return GroupOperands(q=q, k=k, v=v, group_ids=IDS, observed=observed, scale=1.0)


def block(draw: Draw, core=ChronosGroupAttention.mix, **settings) -> ChronosGroupAttention:
    return draw.module(ChronosGroupAttention(8, 2, head_dim=4, ff_dim=16, **settings)).use(core)


def inputs_of(draw: Draw) -> GroupedSet:
    return GroupedSet(x=draw.normal(6, 3, 8), group_ids=IDS, observed=torch.ones(6, 3, dtype=torch.bool))


@CORES
def test_scores_are_not_divided_by_the_square_root_of_the_width(core):
    q = torch.zeros(1, 1, 3, 4, dtype=torch.float64)
    q[..., 0] = 1
    k = q * torch.tensor([0.0, 2.0, 7.0], dtype=torch.float64)[:, None]
    v = torch.eye(3, 4, dtype=torch.float64)[None, None]
    together = torch.tensor([1, 1, 0])
    observed = torch.ones(3, 1, dtype=torch.bool)
    out = core(GroupOperands(q=q, k=k, v=v, group_ids=together, observed=observed, scale=1.0))
    share = exp(2) / (1 + exp(2))
    rows = [[1 - share, share, 0, 0], [1 - share, share, 0, 0], [0, 0, 1, 0]]
    assert torch.allclose(out[0, 0], torch.tensor(rows, dtype=torch.float64))


@CORES
def test_an_unobserved_series_reads_but_is_not_read(core):
    observed = torch.ones(6, 3, dtype=torch.bool)
    observed[2, 1] = False
    operands = operands_of(Draw(0), observed)
    out = core(operands)
    k, v = operands.k.clone(), operands.v.clone()
    k[1, :, 2] += 1
    v[1, :, 2] += 1
    assert torch.allclose(core(replace(operands, k=k, v=v)), out, atol=1e-12)
    assert out[1, :, 2].abs().min() > 0


@CORES
def test_a_group_without_observed_series_gives_zero_and_no_gradient(core):
    observed = torch.ones(6, 3, dtype=torch.bool)
    observed[IDS == -2, 2] = False
    operands = operands_of(Draw(1), observed)
    leaves = {name: tensor.requires_grad_() for name, tensor in operands.differentiable().items()}
    out = core(operands)
    silent = out[2][:, IDS == -2]
    assert not silent.any()
    out.square().sum().backward()
    for leaf in leaves.values():
        assert not leaf.grad[2][:, IDS == -2].any()
        assert leaf.grad.isfinite().all()


@CORES
def test_ids_are_only_names_and_series_come_in_any_order(core):
    draw = Draw(2)
    module, inputs = block(draw, core), inputs_of(draw)
    out = module(inputs).x
    assert torch.allclose(module(replace(inputs, group_ids=100 - 3 * IDS)).x, out, atol=1e-12)
    order = draw.permutation(6)
    assert torch.allclose(module(inputs.map(lambda t: t[order])).x, out[order], atol=1e-12)


@CORES
def test_masked_patches_influence_nothing_but_themselves(core):
    draw = Draw(3)
    module, inputs = block(draw, core), inputs_of(draw)
    inputs.observed[0, 1] = False
    x = inputs.x.clone()
    x[0, 1] += 1
    changed = (module(replace(inputs, x=x)).x - module(inputs).x).abs().amax(-1) > 1e-12
    assert changed.nonzero().tolist() == [[0, 1]]


def test_a_series_that_is_never_observed_is_finite():
    draw = Draw(4)
    module, inputs = block(draw), inputs_of(draw)
    inputs.observed[3] = False
    out = module(inputs).x
    out.sum().backward()
    # without a key the attentions add nothing, and only the feed-forward is left
    assert torch.allclose(out[3], inputs.x[3] + module.feed_forward(inputs.x[3]))
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


def test_queries_start_small_enough_for_unscaled_scores():
    torch.manual_seed(0)
    heads = ChronosGroupAttention(512, 8).group
    assert heads.w_q.weight.std().item() == pytest.approx(0.05 * (512 * 64) ** -0.5, rel=0.02)
    assert heads.w_k.weight.std().item() == pytest.approx(0.05 * 512**-0.5, rel=0.02)
    assert heads.norm.weight.unique().tolist() == pytest.approx([0.05])


def test_dropout_is_drawn_from_the_generator_only_in_training():
    draw = Draw(5)
    module, inputs = block(draw, by_size, dropout=0.5), inputs_of(draw)

    def run(seed: int) -> Tensor:
        return module(replace(inputs, extras=Extras(generator=torch.Generator().manual_seed(seed)))).x

    assert torch.equal(run(0), run(1))
    module.train()
    assert torch.equal(run(0), run(0))
    assert not torch.allclose(run(0), run(1))


def test_fused_attention_refuses_dropout():
    draw = Draw(6)
    module = block(draw, dense, dropout=0.5).train()
    with pytest.raises(Unsupported, match="dropout"):
        module(inputs_of(draw))
