"""LTX-2's audio-video cross attention: what the reductions do not see."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.contract import Draw, Extras, Streams
from attnbench.errors import UserError
from attnbench_impls.cross_or_fusion.ltx2_av_cross_attention import LTX2AVCrossAttention, matmul, sdpa
from attnbench_impls.kernels.timestep import TimestepMLP, sinusoids

CORES = pytest.mark.parametrize("core", [LTX2AVCrossAttention.mix, matmul, sdpa])
VIDEO, AUDIO, HEADS, WIDTH = 12, 8, 2, 6


def layer(draw: Draw, **settings) -> LTX2AVCrossAttention:
    return draw.module(LTX2AVCrossAttention(VIDEO, HEADS, other_dim=AUDIO, head_dim=WIDTH, **settings))


def inputs_of(draw: Draw) -> Streams:
    extras = Extras(
        times=(draw.uniform(2, 5, 2, high=8.0), draw.uniform(2, 3, 2, high=8.0)),
        denoising_step=(draw.uniform(2, 5), draw.uniform(2, 1)),
    )
    return Streams(streams=(draw.normal(2, 5, VIDEO), draw.normal(2, 3, AUDIO)), extras=extras)


def rms(x: Tensor, gain: Tensor | float = 1.0) -> Tensor:
    return gain * x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def by_complex_numbers(x: Tensor, times: Tensor, interleaved: bool) -> Tensor:
    """The whole vector H * d of a token at once, as J complex numbers."""
    pairs = HEADS * WIDTH // 2
    speeds = math.pi / 2 * 10000 ** (torch.arange(pairs, dtype=torch.float64) / (pairs - 1))
    turn = torch.exp(1j * speeds * (times.mean(-1)[..., None] / 10 - 1))
    if interleaved:
        return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turn).flatten(-2)
    u, z = x.unflatten(-1, (HEADS, 2, -1)).unbind(-2)
    turned = torch.complex(u, z) * turn.unflatten(-1, (HEADS, -1))
    return torch.cat([turned.real, turned.imag], -1).flatten(-2)


def update(module: LTX2AVCrossAttention, inputs: Streams, reader: int, interleaved: bool) -> Tensor:
    """What the entry says that stream `reader` gains, written out."""
    direction = (module.a2v, module.v2a)[reader]
    source, modulations, ready = 1 - reader, (module.video, module.audio), []
    for x, modulation, step in zip(inputs.streams, modulations, inputs.extras.denoising_step, strict=True):
        scale, shift = (modulation.table[:4] + modulation.rows(1000 * step))[:, :, 2 * reader : 2 * reader + 2].unbind(
            2
        )
        ready.append(rms(x) * (1 + scale) + shift)
    q = rms(direction.to_q(ready[reader]), direction.q_norm.weight)
    k = rms(direction.to_k(ready[source]), direction.k_norm.weight)
    v = direction.to_v(ready[source])
    q = by_complex_numbers(q, inputs.extras.times[reader], interleaved)
    k = by_complex_numbers(k, inputs.extras.times[source], interleaved)
    heads = []
    for h in range(HEADS):
        band = slice(h * WIDTH, (h + 1) * WIDTH)
        read = (q[..., band] @ k[..., band].mT / WIDTH**0.5).softmax(-1) @ v[..., band]
        if direction.to_gate is not None:
            read = read * 2 * direction.to_gate(ready[reader])[..., h, None].sigmoid()
        heads.append(read)
    noise = inputs.extras.denoising_step[source].max(1).values
    gate = modulations[reader].table[4] + modulations[reader].gate(1000 * noise[:, None])[:, :, 0]
    return direction.to_out(torch.cat(heads, -1)) * gate


@CORES
@pytest.mark.parametrize("interleaved", [False, True])
def test_both_directions_written_out(core, interleaved):
    draw = Draw(0)
    module, inputs = layer(draw, interleaved=interleaved, gate_per_head=interleaved).use(core), inputs_of(draw)
    for reader, (x, out) in enumerate(zip(inputs.streams, module(inputs).streams, strict=True)):
        assert torch.allclose(out, x + update(module, inputs, reader, interleaved), atol=1e-10)


@CORES
def test_weights_of_every_row_sum_to_one(core):
    draw = Draw(1)
    operands = layer(draw).project(inputs_of(draw))
    ones = operands.with_tensors({f"v.{i}": torch.ones_like(v) for i, v in enumerate(operands.v)})
    for read in core(ones).tensors().values():
        assert torch.allclose(read, torch.ones_like(read))


@CORES
def test_tokens_of_one_frame_may_come_in_any_order(core):
    draw = Draw(2)
    module, inputs = layer(draw).use(core), inputs_of(draw)
    order = draw.permutation(5)
    video, audio = module(inputs).streams
    extras = inputs.extras
    shuffled = replace(
        inputs,
        streams=(inputs.streams[0][:, order], inputs.streams[1]),
        extras=replace(
            extras,
            times=(extras.times[0][:, order], extras.times[1]),
            denoising_step=(extras.denoising_step[0][:, order], extras.denoising_step[1]),
        ),
    )
    for got, expected in zip(module(shuffled).streams, (video[:, order], audio), strict=True):
        assert torch.allclose(got, expected, atol=1e-10)


@pytest.mark.parametrize("core", [matmul, sdpa])
def test_fast_rotations_survive_half_precision(core):
    draw = Draw(3)
    operands = layer(draw).project(inputs_of(draw))
    half = operands.to(torch.bfloat16)
    assert half.times[0].dtype == torch.float32
    assert half.q[0].dtype == torch.bfloat16
    exact = LTX2AVCrossAttention.mix(half.to(torch.float64))
    assert (core(half).video - exact.video).abs().max() < 0.05


def test_midpoints_do_for_intervals():
    draw = Draw(4)
    module, inputs = layer(draw), inputs_of(draw)
    middles = tuple(times.mean(-1) for times in inputs.extras.times)
    assert torch.equal(module(replace(inputs, extras=replace(inputs.extras, times=middles))).x, module(inputs).x)


def test_a_fresh_layer_is_the_identity_and_its_gates_learn():
    module, inputs = LTX2AVCrossAttention(VIDEO, HEADS, other_dim=AUDIO), inputs_of(Draw(5)).to(torch.float32)
    out = module(inputs)
    assert all(torch.equal(x, y) for x, y in zip(inputs.streams, out.streams, strict=True))
    sum(stream.square().sum() for stream in out.streams).backward()
    assert module.video.table.grad[4].any()
    assert module.audio.gate.last.weight.grad.any()


def test_layers_of_a_stack_share_the_step_networks_and_nothing_else():
    stack = LTX2AVCrossAttention.stack(3, VIDEO, HEADS, other_dim=AUDIO, head_dim=WIDTH)
    first, second, third = stack.layers
    for name in ("rows", "gate"):
        for stream in ("video", "audio"):
            networks = {id(getattr(getattr(one, stream), name)) for one in stack.layers}
            assert networks == {id(stack.shared[f"{stream}_{name}"])}
    assert first.video.table is not second.video.table
    assert second.a2v.to_q.weight is not third.a2v.to_q.weight

    def size(module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    shared = size(stack.shared)
    assert shared == sum(size(TimestepMLP(width, rows)) for width in (VIDEO, AUDIO) for rows in (4, 1))
    assert size(stack) == shared + 3 * (size(first) - shared)


def test_a_layer_alone_has_step_networks_of_its_own():
    one, two = (LTX2AVCrossAttention(VIDEO, HEADS, other_dim=AUDIO) for _ in range(2))
    assert one.video.rows is not two.video.rows
    assert one.video.rows is not one.video.gate


def test_a_stack_runs_and_trains_what_its_layers_share():
    draw = Draw(6)
    stack = draw.module(LTX2AVCrossAttention.stack(2, VIDEO, HEADS, other_dim=AUDIO, head_dim=WIDTH))
    inputs = inputs_of(draw)
    out = stack(inputs)
    by_hand = inputs.advance(stack.layers[0](inputs))
    assert torch.equal(out.x, stack.layers[1](by_hand).x)
    assert [stream.shape for stream in out.streams] == [stream.shape for stream in inputs.streams]
    sum(stream.sum() for stream in out.streams).backward()
    assert all(parameter.grad.any() for parameter in stack.shared.parameters())


def test_sinusoids_are_cosines_then_sines_of_falling_rate():
    waves = sinusoids(torch.tensor([3.0], dtype=torch.float64))[0]
    assert waves[:2].tolist() == pytest.approx([math.cos(3), math.cos(3 * 10000 ** (-1 / 128))])
    assert waves[128:130].tolist() == pytest.approx([math.sin(3), math.sin(3 * 10000 ** (-1 / 128))])
    assert waves.shape == (256,)


def test_the_network_ends_in_silu_and_a_linear_layer():
    draw = Draw(7)
    network = draw.module(TimestepMLP(4, 2))
    step = draw.uniform(2, 3, high=1000.0)
    hidden = F.silu(network.second(F.silu(network.first(sinusoids(step)))))
    assert torch.equal(network(step), network.last(hidden).reshape(2, 3, 2, 4))


@pytest.mark.parametrize("missing", ["times", "denoising_step"])
def test_missing_extras_are_named(missing):
    draw = Draw(8)
    inputs = inputs_of(draw)
    with pytest.raises(UserError, match=missing):
        layer(draw)(replace(inputs, extras=replace(inputs.extras, **{missing: None})))


@pytest.mark.parametrize(("heads", "width"), [(2, 3), (1, 2)])
def test_heads_that_cannot_be_turned_are_refused(heads, width):
    with pytest.raises(UserError, match="even width"):
        LTX2AVCrossAttention(VIDEO, heads, head_dim=width)
