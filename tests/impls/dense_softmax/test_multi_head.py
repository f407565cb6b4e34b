import pytest
import torch

from attnbench.contract import Draw, Extras, Sequence, Unsupported
from attnbench.errors import UserError
from attnbench_impls.dense_softmax.multi_head import MultiHead, matmul, sdpa
from attnbench_impls.kernels.softmax import SoftmaxOperands

CORES = [MultiHead.mix, matmul, sdpa]


def heads(queries, keys, *, query_heads=2, **options):
    draw = Draw(6)
    q, k, v = draw.normal(2, query_heads, queries, 4), draw.normal(2, 2, keys, 4), draw.normal(2, 2, keys, 4)
    return SoftmaxOperands(q=q, k=k, v=v, scale=0.5, **options)


@pytest.mark.parametrize("core", CORES)
def test_two_keys_by_hand(core):
    """Logits 2 ln 3 x 0.5 and 0: the weights are 3/4 and 1/4."""
    q = torch.tensor([2.0]).double().reshape(1, 1, 1, 1)
    k = torch.tensor([3.0, 1.0]).double().log().reshape(1, 1, 2, 1)
    v = torch.tensor([8.0, 4.0]).double().reshape(1, 1, 2, 1)
    assert core(SoftmaxOperands(q=q, k=k, v=v, scale=0.5)).item() == pytest.approx(7.0)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(("queries", "counts"), [(2, [3, 4]), (4, [1, 2, 3, 4]), (6, [0, 0, 1, 2, 3, 4])])
def test_causal_is_aligned_at_the_bottom_right(core, queries, counts):
    operands = heads(queries, 4, causal=True)
    values = 2.0 ** torch.arange(4).double()[:, None].expand(2, 2, 4, 4)
    operands = operands.with_tensors({"q": torch.zeros_like(operands.q), "v": values})
    expected = torch.tensor([sum(2**j for j in range(count)) / max(count, 1) for count in counts]).double()
    torch.testing.assert_close(core(operands)[0, 0, :, 0], expected)


@pytest.mark.parametrize("core", CORES)
def test_rows_without_a_key_are_zero_with_zero_gradients(core):
    padding = torch.tensor([[False] * 5, [True, True, False, False, False]])
    operands = heads(3, 5, key_padding=padding)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in operands.differentiable().items()}
    out = core(operands.with_tensors(leaves))
    out.square().sum().backward()
    assert not out[0].any()
    assert out[1].all()
    assert not any(leaf.grad[0].any() for leaf in leaves.values())
    assert all(leaf.grad.isfinite().all() for leaf in leaves.values())
    assert not leaves["k"].grad[1, :, 2:].any()


@pytest.mark.parametrize("core", CORES)
def test_neighbouring_query_heads_share_a_key_head(core):
    shared = heads(5, 5, query_heads=4, causal=True)
    copied = shared.with_tensors({name: getattr(shared, name)[:, [0, 0, 1, 1]] for name in "kv"})
    torch.testing.assert_close(core(shared), core(copied))


def test_dropout_is_drawn_from_the_given_source_and_keeps_the_mean():
    module = MultiHead(8, 2, attn_dropout=0.25).train()

    def kept(seed):
        extras = Extras(generator=torch.Generator().manual_seed(seed))
        return module.project(Sequence(x=torch.ones(4, 64, 8), extras=extras)).kept

    assert kept(1).unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert kept(1).mean().item() == pytest.approx(1.0, abs=0.02)
    assert torch.equal(kept(1), kept(1))
    assert not torch.equal(kept(1), kept(2))


def test_dropout_acts_on_the_weights_after_they_are_normalised():
    kept = Draw(1).boolean(2, 2, 3, 5).double() * 2
    dropped, full = heads(3, 5, kept=kept), heads(3, 5)
    identity = {"v": torch.eye(5).double().expand(2, 2, 5, 5)}
    for core in (MultiHead.mix, matmul):
        weights = core(full.with_tensors(identity))
        torch.testing.assert_close(core(dropped.with_tensors(identity)), weights * kept)
    with pytest.raises(Unsupported, match="draws its own dropout"):
        sdpa(dropped)


def test_dropout_is_off_in_evaluation():
    assert MultiHead(8, 2, attn_dropout=0.5).eval().project(Sequence(x=torch.ones(1, 3, 8))).kept is None


def test_padded_keys_stay_hidden_while_decoding():
    module, x = Draw(1).module(MultiHead(8, 2)), Draw(2).normal(2, 5, 8)
    real = torch.tensor([[True] * 5, [False, False, True, True, True]])
    expected = module(Sequence(x=x, causal=True, extras=Extras(key_padding=real))).x
    state, outs = module.init_state(2, 5), []
    for start, end in ((0, 3), (3, 4), (4, 5)):
        extras = Extras(key_padding=real[:, :end])
        out, state = module.step(Sequence(x=x[:, start:end], causal=True, extras=extras), state)
        outs.append(out.x)
    torch.testing.assert_close(torch.cat(outs, 1), expected)
    assert not torch.allclose(expected, module(Sequence(x=x, causal=True)).x)


def test_the_definition_takes_its_softmax_in_float32_at_least():
    narrow = heads(5, 40).to(torch.bfloat16)
    assert torch.equal(MultiHead.mix(narrow), MultiHead.mix(narrow.to(torch.float32)).bfloat16())


def test_heads_of_a_broken_width_are_refused():
    with pytest.raises(UserError, match="3 heads do not divide the width 8: give head_dim"):
        MultiHead(8, 3)
    assert MultiHead(8, 3, head_dim=4)(Sequence(x=torch.ones(1, 2, 8))).x.shape == (1, 2, 8)


def test_a_full_cache_says_so():
    module = MultiHead(8, 2)
    with pytest.raises(ValueError, match="holds 2 tokens, 3 are needed"):
        module.step(Sequence(x=torch.ones(1, 3, 8), causal=True), module.init_state(1, 2))
