from dataclasses import replace

import pytest
import torch

from attnbench.contract import Draw, Extras, Sequence
from attnbench.errors import UserError
from attnbench_impls.kernels.latent import LatentOperands
from attnbench_impls.latent_kv.multi_head_latent import MultiHeadLatent, absorbed, naive

CORES = [MultiHeadLatent.mix, naive, absorbed]
SMALL = {"kv_lora_rank": 10, "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 5}


def latents(queries, keys, heads=3):
    draw = Draw(4)
    return LatentOperands(
        q_nope=draw.normal(2, heads, queries, 6),
        q_rope=draw.normal(2, heads, queries, 4),
        latent=draw.normal(2, keys, 10),
        k_rope=draw.normal(2, keys, 4),
        w_uk=draw.normal(heads, 6, 10),
        w_uv=draw.normal(heads, 5, 10),
        causal=True,
    )


@pytest.mark.parametrize("core", CORES)
def test_two_keys_by_hand(core):
    """Scores 3 x 1 + 1 x 1 against 0: the scale is 1 / sqrt(d_n + d_r), whatever the latent's width."""

    def at(*numbers):
        return torch.tensor(numbers).double()

    operands = LatentOperands(
        q_nope=at(3.0, 0.0, 0.0).reshape(1, 1, 1, 3),
        q_rope=at(1.0).reshape(1, 1, 1, 1),
        latent=at(1.0, 0.0, 0.0, 1.0).reshape(1, 2, 2),
        k_rope=at(1.0, 0.0).reshape(1, 2, 1),
        w_uk=at(1.0, 0.0, 0.0, 0.0, 0.0, 0.0).reshape(1, 3, 2),
        w_uv=at(8.0, 4.0).reshape(1, 1, 2),
        causal=True,
    )
    weight = at(2.0).sigmoid()
    torch.testing.assert_close(core(operands).flatten(), 8 * weight + 4 * (1 - weight))


@pytest.mark.parametrize("core", CORES)
def test_weights_sum_to_one(core):
    operands = latents(5, 5)
    constant = operands.latent[:, :1]
    out = core(replace(operands, latent=constant.expand(-1, 5, -1)))
    torch.testing.assert_close(out, (constant[:, None] @ operands.w_uv.mT).expand_as(out))


@pytest.mark.parametrize("core", CORES)
def test_queries_before_the_first_key_are_zero_with_zero_gradients(core):
    operands = latents(7, 3).map(lambda tensor: tensor.requires_grad_())
    out = core(operands)
    out.square().sum().backward()
    assert not out[:, :, :4].any()
    assert not operands.q_nope.grad[:, :, :4].any()
    assert all(tensor.grad.isfinite().all() for tensor in operands.tensors().values())


@pytest.mark.parametrize("layout", ["interleaved", "half"])
def test_only_differences_of_positions_matter(layout):
    module = Draw(1).module(MultiHeadLatent(16, 2, q_lora_rank=None, rope_layout=layout, **SMALL))
    x, ids = Draw(2).normal(2, 6, 16), torch.arange(6)

    def run(positions):
        return module(Sequence(x=x, causal=True, extras=Extras(position_ids=positions))).x

    torch.testing.assert_close(run(ids + 70), module(Sequence(x=x, causal=True)).x)
    assert not torch.allclose(run(2 * ids), run(ids))


def test_the_cache_holds_normalised_latents_and_rotated_keys():
    module = Draw(1).module(MultiHeadLatent(16, 2, q_lora_rank=None, **SMALL))
    x = Draw(2).normal(2, 3, 16)
    state = module.init_state(2, 8)
    for token in x.split(1, 1):
        _, state = module.step(Sequence(x=token, causal=True), state)
    raw, key = (x @ module.w_dkv.weight.T).split([10, 4], -1)
    normed = raw / (raw.square().mean(-1, keepdim=True) + 1e-6).sqrt() * module.norm_kv.weight
    torch.testing.assert_close(state.keys[:, 0], normed)
    torch.testing.assert_close(state.values[:, 0], module.rotary(key[:, None], torch.arange(3))[:, 0])
    torch.testing.assert_close(state.values[:, 0].norm(dim=-1), key.norm(dim=-1))
    assert state.nbytes == 2 * 3 * (10 + 4) * 8


def test_the_full_size_cache_is_576_values_a_token():
    state = MultiHeadLatent(64, 2).init_state(1, 4)
    assert state.append(torch.ones(1, 1, 1, 512), torch.ones(1, 1, 1, 64)).nbytes == 576 * 4


def test_both_norms_of_latents_can_be_switched_off():
    module = MultiHeadLatent(16, 2, q_lora_rank=8, latent_norm=False, **SMALL)
    assert not [name for name, _ in module.named_parameters() if "norm" in name]
    assert module.project(Sequence(x=torch.ones(1, 2, 16))).latent.shape == (1, 2, 10)


def test_bad_rotary_options_are_named():
    with pytest.raises(UserError, match="even width"):
        MultiHeadLatent(16, 2, qk_rope_head_dim=3)
