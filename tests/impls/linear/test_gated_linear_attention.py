import pytest
import torch
import torch.nn.functional as F

from attnbench.contract import Draw, Sequence
from attnbench.errors import UserError
from attnbench_impls.kernels.recurrence import GatedLinearOperands
from attnbench_impls.linear.gated_linear_attention import GatedLinearAttention, chunked

CORES = [GatedLinearAttention.mix, chunked]


def heads(length, *, decay=1.0, chunk=8, state=True):
    draw = Draw(3)
    q, k, v = draw.normal(2, 2, length, 4), draw.normal(2, 2, length, 4), draw.normal(2, 2, length, 3)
    initial = draw.normal(2, 2, 4, 3) if state else None
    log_decay = -decay * draw.uniform(2, 2, length, 4)
    return GatedLinearOperands(q=q, k=k, v=v, log_decay=log_decay, scale=0.5, chunk=chunk, initial_state=initial)


@pytest.mark.parametrize("core", CORES)
def test_one_channel_by_hand(core):
    def column(*numbers):
        return torch.tensor(numbers).double().reshape(1, 1, -1, 1)

    operands = GatedLinearOperands(
        q=column(1.0, 1.0, 2.0),
        k=column(1.0, 2.0, 1.0),
        v=column(8.0, 3.0, 1.0),
        log_decay=column(0.1, 0.5, 0.25).log(),
        scale=0.5,
        initial_state=column(20.0),
    )
    mixed = core(operands)
    torch.testing.assert_close(mixed.final_state, column(3.75))
    torch.testing.assert_close(mixed.out, column(5.0, 5.5, 3.75))


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("cut", [1, 8, 13])
def test_a_run_may_be_cut_and_resumed(core, cut):
    whole = heads(21)
    pieces = [slice(0, cut), slice(cut, None)]
    first, second = (
        whole.with_tensors({name: getattr(whole, name)[:, :, piece] for name in NAMES}) for piece in pieces
    )
    before = core(first)
    after = core(second.with_tensors({"initial_state": before.final_state}))
    expected = core(whole)
    torch.testing.assert_close(torch.cat([before.out, after.out], 2), expected.out)
    torch.testing.assert_close(after.final_state, expected.final_state)


NAMES = ("q", "k", "v", "log_decay")


@pytest.mark.parametrize("core", CORES)
def test_the_gradient_of_the_decay_follows_from_those_of_q_and_k(core):
    operands = heads(19).map(lambda tensor: tensor.requires_grad_())
    mixed = core(operands)
    out, final = Draw(5).normal(*mixed.out.shape), Draw(6).normal(*mixed.final_state.shape)
    ((mixed.out * out).sum() + (mixed.final_state * final).sum()).backward()
    change = operands.q * operands.q.grad - operands.k * operands.k.grad
    expected = change.flip(2).cumsum(2).flip(2) + (mixed.final_state * final).sum(-1)[:, :, None]
    torch.testing.assert_close(operands.log_decay.grad, expected.detach())


def test_both_forms_agree_on_the_gradient_of_the_initial_state():
    grads = []
    for core in CORES:
        operands = heads(19).map(lambda tensor: tensor.requires_grad_())
        mixed = core(operands)
        (mixed.out.square().sum() + mixed.final_state.sum()).backward()
        grads.append(operands.initial_state.grad)
    torch.testing.assert_close(*grads)


def test_violent_decay_neither_overflows_nor_loses_the_near_past():
    exact = heads(64, decay=80.0, chunk=64, state=False)
    narrow = exact.to(torch.float32).map(lambda tensor: tensor.requires_grad_())
    out = chunked(narrow).out
    out.sum().backward()
    torch.testing.assert_close(out.double(), GatedLinearAttention.mix(exact).out, rtol=1e-5, atol=1e-6)
    assert all(tensor.grad.isfinite().all() for tensor in narrow.tensors().values())


@pytest.mark.parametrize("core", CORES)
def test_decay_and_state_stay_wide_in_a_narrow_dtype(core):
    narrow = heads(9).to(torch.bfloat16)
    mixed = core(narrow)
    assert (narrow.q.dtype, narrow.log_decay.dtype) == (torch.bfloat16, torch.float32)
    assert (mixed.out.dtype, mixed.final_state.dtype) == (torch.bfloat16, torch.float32)


def test_heads_are_normalised_before_the_gate():
    module = Draw(1).module(GatedLinearAttention(16, 2))
    x = Draw(2).normal(1, 5, 16)
    mixed = module.core(module.project(Sequence(x=x, causal=True)))
    normed = mixed.out / (mixed.out.square().mean(-1, keepdim=True) + 1e-5).sqrt() * module.norm.weight
    expected = (normed.transpose(1, 2).flatten(2) * F.silu(x @ module.w_gate.weight.T)) @ module.w_o.weight.T
    torch.testing.assert_close(module(Sequence(x=x, causal=True)).x, expected)


def test_the_decay_is_a_tempered_sigmoid():
    module = Draw(1).module(GatedLinearAttention(16, 2, tau=4.0))
    x = Draw(2).normal(1, 5, 16)
    rate = x @ module.w_low.weight.T @ module.w_decay.weight.T + module.w_decay.bias
    alpha = module.project(Sequence(x=x)).log_decay.exp().transpose(1, 2).flatten(2)
    torch.testing.assert_close(alpha, rate.sigmoid() ** 0.25)


@pytest.mark.parametrize(
    ("options", "says"), [({"expand_k": 0.3}, "must divide the key width 9"), ({"chunk": 48}, "48")]
)
def test_impossible_options_are_refused(options, says):
    with pytest.raises(UserError, match=says):
        GatedLinearAttention(32, 4, **options)
