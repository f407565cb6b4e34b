import math
from dataclasses import replace

import pytest
import torch

from attnbench.contract import Draw, Extras, Place, Sequence
from attnbench.errors import UserError
from attnbench_impls.dense_softmax.differential import Differential, DifferentialOperands, matmul, sdpa

CORES = [Differential.mix, matmul, sdpa]


def pairs(queries, keys, heads=4, groups=2):
    draw = Draw(8)
    return DifferentialOperands(
        q=draw.normal(2, 2 * heads, queries, 4),
        k=draw.normal(2, 2 * groups, keys, 4),
        v=draw.normal(2, groups, keys, 8),
        weight=torch.tensor(0.6).double(),
        scale=0.5,
        causal=True,
    )


def test_lambda_init_counts_layers_from_zero():
    stack = Differential.stack(3, 16, 2)
    assert [round(layer.lambda_init, 6) for layer in stack.layers] == [0.2, 0.355509, 0.470713]
    assert Differential(16, 2, place=Place(5, 8), lambda_init=0.5).lambda_init == 0.5


def test_lambda_by_hand():
    module = Differential(8, 2, lambda_init=0.3)
    with torch.no_grad():
        module.lambda_q.copy_(torch.tensor([[1.0, 2.0], [0.5, 1.0]]))
        module.lambda_k.copy_(torch.tensor([[0.5, 0.25], [1.0, -0.5]]))
    assert module.weight().item() == pytest.approx(math.e - 1 + 0.3)


@pytest.mark.parametrize("core", CORES)
def test_a_single_token_keeps_one_minus_lambda_of_its_value(core):
    operands = pairs(1, 1)
    torch.testing.assert_close(core(operands), 0.4 * operands.v.repeat_interleave(2, 1))


@pytest.mark.parametrize("core", CORES)
def test_entries_of_the_combined_map_may_be_negative(core):
    """The second map looks at the first key only, the first map at both alike."""
    q = torch.tensor([0.0, 9.0]).double().reshape(1, 2, 1, 1)
    k = torch.tensor([0.0, 0.0, 9.0, 0.0]).double().reshape(1, 2, 2, 1)
    v = torch.tensor([1.0, 0.0, 0.0, 1.0]).double().reshape(1, 1, 2, 2)
    operands = DifferentialOperands(q=q, k=k, v=v, weight=torch.tensor(0.8).double(), scale=1.0, causal=True)
    torch.testing.assert_close(core(operands).flatten(), torch.tensor([-0.3, 0.5]).double())


@pytest.mark.parametrize("core", CORES)
def test_the_maps_of_a_pair_never_share_a_key_head(core):
    """Without the odd key heads every second map is uniform, for all pairs of a group."""
    operands = pairs(5, 5)
    k = operands.k.clone()
    k[:, 1::2] = 0
    operands = replace(operands, k=k)
    no_second = core(replace(operands, weight=torch.zeros_like(operands.weight)))
    running_mean = operands.v.cumsum(2) / torch.arange(1, 6).double()[:, None]
    torch.testing.assert_close(core(operands), no_second - 0.6 * running_mean.repeat_interleave(2, 1))


@pytest.mark.parametrize("core", CORES)
def test_queries_before_the_first_key_are_zero_with_zero_gradients(core):
    operands = pairs(7, 3).map(lambda tensor: tensor.requires_grad_())
    out = core(operands)
    out.square().sum().backward()
    assert not out[:, :, :4].any()
    assert not operands.q.grad[:, :, :4].any()
    assert all(tensor.grad.isfinite().all() for tensor in operands.tensors().values())


def test_only_the_sign_of_a_factor_on_the_values_survives_the_norm():
    module = Draw(1).module(Differential(16, 2, subln_eps=0.0))
    inputs = Sequence(x=Draw(2).normal(1, 5, 16), causal=True)
    before = module(inputs).x
    for factor in (3.0, -1.0):
        with torch.no_grad():
            module.w_v.weight.mul_(factor)
        torch.testing.assert_close(module(inputs).x, math.copysign(1, factor) * before)


def test_only_differences_of_positions_matter():
    module = Draw(1).module(Differential(16, 2))
    x, ids = Draw(2).normal(2, 6, 16), torch.arange(6)

    def run(positions):
        return module(Sequence(x=x, causal=True, extras=Extras(position_ids=positions))).x

    torch.testing.assert_close(run(ids + 70), module(Sequence(x=x, causal=True)).x)
    assert not torch.allclose(run(2 * ids), run(ids))


def test_the_cache_costs_what_two_ordinary_heads_a_group_cost():
    module = Differential(32, 4, kv_heads=2)
    _, state = module.step(Sequence(x=torch.ones(3, 5, 32), causal=True), module.init_state(3, 9))
    assert state.nbytes == 3 * 5 * 2 * (2 * 2 * 4) * 4


@pytest.mark.parametrize(("dim", "options"), [(36, {}), (32, {"kv_heads": 3}), (24, {})])
def test_impossible_widths_are_refused(dim, options):
    with pytest.raises(UserError):
        Differential(dim, 4, **options)
