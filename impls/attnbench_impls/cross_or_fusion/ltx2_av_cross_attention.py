"""Cross attention between video and audio in both directions, placed by time."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Attention,
    Extra,
    Extras,
    Fidelity,
    Layout,
    Outputs,
    Pattern,
    Place,
    Property,
    Streams,
    Trial,
    implementation,
    reduction,
    variant,
)
from attnbench_impls.kernels.audio_video import (
    AudioVideo,
    AudioVideoOperands,
    Direction,
    StreamModulation,
    midpoints_of,
    step_networks,
    steps_of,
)
from attnbench_impls.kernels.softmax import widened
from attnbench_impls.kernels.temporal_rotary import TimeBands


@variant(
    slug="ltx2_av_cross_attention",
    paper="ltx2_av_cross_attention",
    family="cross_or_fusion",
    layout=Layout.TWO_STREAM,
    patterns={Pattern.NONCAUSAL_CROSS},
    fidelity=Fidelity.CODE_VERIFIED,
    properties={Property.BATCH_INDEPENDENT},
    requires={Extra.TIMES, Extra.DENOISING_STEP},
    settings={
        "correctness": [{"head_dim": 8}, {"head_dim": 6, "gate_per_head": True, "interleaved": True}],
        "accuracy": [{"head_dim": 32}],
    },
)
class LTX2AVCrossAttention(Attention[Streams, AudioVideoOperands, AudioVideo]):
    """Video and audio tokens read each other, turned by their times and modulated by both denoising steps.

    (v (B, N, D), a (B, M, D')) -> RMS norm, scale and shift from the stream's own step -> q, k, v by heads -> rotary
    by seconds, a frequency band a head -> softmax both ways -> W_o -> gate from the other stream's step -> residual.
    Both directions read the streams as they came in. The networks from steps to modulations are shared by the layers
    of a stack; each layer adds its own tables of offsets. Tables and gates start at zero: the layer is the identity.

    `inputs.carry["perturbation"]` (2, B, 1, 1), if there, scales the update of each stream. Source: LTX-2, 2026.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        other_dim: int | None = None,
        place: Place = Place(),
        head_dim: int = 64,
        rope_theta: float = 10000.0,
        rope_max_pos_seconds: float = 20.0,
        interleaved: bool = False,
        norm_eps: float = 1e-6,
        timestep_scale_multiplier: float = 1000.0,
        av_ca_timestep_scale_multiplier: float = 1000.0,
        gate_per_head: bool = False,
    ) -> None:
        super().__init__()
        video, audio = dim, other_dim or dim
        self.rotary = TimeBands(heads, head_dim, rope_theta, rope_max_pos_seconds, interleaved)
        networks = self.shared(dim, heads, other_dim=audio) if place.shared is None else place.shared
        scales = {
            "eps": norm_eps,
            "step_scale": timestep_scale_multiplier,
            "gate_scale": av_ca_timestep_scale_multiplier,
        }
        self.video = StreamModulation(video, networks["video_rows"], networks["video_gate"], **scales)
        self.audio = StreamModulation(audio, networks["audio_rows"], networks["audio_gate"], **scales)
        build = partial(Direction, heads=heads, head_dim=head_dim, eps=norm_eps, gated=gate_per_head, depth=place.depth)
        self.a2v, self.v2a = build(video, audio), build(audio, video)

    @classmethod
    def shared(cls, dim: int, heads: int, **hyperparameters: object) -> nn.ModuleDict:  # noqa: ARG003 - as declared
        """Build the networks from denoising steps to modulations and gates of both streams."""
        return step_networks(dim, cast("int", hyperparameters.get("other_dim") or dim))

    def project(self, inputs: Streams) -> AudioVideoOperands:
        """Modulate both streams for both directions, and project to heads."""
        video_step, audio_step = steps_of(inputs)
        video, audio = self.video(inputs.streams[0], video_step), self.audio(inputs.streams[1], audio_step)
        q, k, v, gate = zip(self.a2v(video[0], audio[0]), self.v2a(audio[1], video[1]), strict=True)
        gates = None if gate[0] is None else gate
        return AudioVideoOperands(q=q, k=k, v=v, gate=gates, times=midpoints_of(inputs), rotary=self.rotary)

    @staticmethod
    def mix(operands: AudioVideoOperands) -> AudioVideo:
        """Turn each channel pair by its own angle, then take the softmax of each direction's full score matrix."""
        o, read = widened(operands), []
        for reader in (0, 1):
            q = _rotated(o.q[reader], o.times[reader], o.rotary)
            k = _rotated(o.k[reader], o.times[1 - reader], o.rotary)
            logits = q @ k.mT / math.sqrt(q.shape[-1])
            weights = (logits - logits.amax(-1, keepdim=True)).exp()
            out = weights / weights.sum(-1, keepdim=True) @ o.v[reader]
            read.append(out if o.gate is None else out * o.gate[reader][..., None])
        return AudioVideo(video=read[0], audio=read[1]).to(operands.v[0].dtype, operands.v[0].device)

    def merge(self, mixed: AudioVideo, inputs: Streams) -> Outputs:
        """Return to each stream's width, gate by the other's noise level, and add to the stream as it came in."""
        (video, audio), (video_step, audio_step) = inputs.streams, steps_of(inputs)
        to_video, to_audio = inputs.carry.get("perturbation", video.new_ones(2))
        return Outputs.of(
            video + self.a2v.back(mixed.video) * self.video.strength(audio_step) * to_video,
            audio + self.v2a.back(mixed.audio) * self.audio.strength(video_step) * to_audio,
        )


def _rotated(x: Tensor, times: Tensor, rotary: TimeBands) -> Tensor:
    """Turn the pairs of x (B, H, N, D) one by one, numbered through all heads."""
    half, pairs = rotary.width // 2, rotary.heads * rotary.width // 2
    position = 2 * times.double() / rotary.max_seconds - 1
    heads = [list(head.unbind(-1)) for head in x.unbind(1)]
    for j in range(pairs):
        h, m = divmod(j, half)
        one, two = (2 * m, 2 * m + 1) if rotary.interleaved else (m, m + half)
        angle = math.pi / 2 * rotary.theta ** (j / (pairs - 1)) * position
        u, z = heads[h][one], heads[h][two]
        heads[h][one], heads[h][two] = u * angle.cos() - z * angle.sin(), z * angle.cos() + u * angle.sin()
    return torch.stack([torch.stack(head, -1) for head in heads], 1).to(x.dtype)


@implementation(of=LTX2AVCrossAttention, name="torch")
def matmul(operands: AudioVideoOperands) -> AudioVideo:
    """All pairs turned at once, then logits and softmax in at least float32, and a second matmul."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        wide = torch.promote_types(q.dtype, torch.float32)
        weights: Tensor = (q.to(wide) @ k.to(wide).mT * q.shape[-1] ** -0.5).softmax(-1)
        return weights.to(v.dtype) @ v

    return _both_ways(operands, attend)


@implementation(of=LTX2AVCrossAttention, name="sdpa")
def sdpa(operands: AudioVideoOperands) -> AudioVideo:
    """All pairs turned at once, and the fused kernel that torch picks on each device."""
    return _both_ways(operands, F.scaled_dot_product_attention)


def _both_ways(operands: AudioVideoOperands, attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> AudioVideo:
    (video, audio), turn = operands.times, operands.rotary
    video_read = attend(turn(operands.q[0], video), turn(operands.k[0], audio), operands.v[0])
    audio_read = attend(turn(operands.q[1], audio), turn(operands.k[1], video), operands.v[1])
    if operands.gate is None:
        return AudioVideo(video=video_read, audio=audio_read)
    return AudioVideo(video=video_read * operands.gate[0][..., None], audio=audio_read * operands.gate[1][..., None])


Run = Trial[AudioVideoOperands, AudioVideo]


def _layer(trial: Run) -> LTX2AVCrossAttention:
    return trial.attention(LTX2AVCrossAttention(12, 2, other_dim=8, head_dim=4))


def _streams(trial: Run, audio: int = 3) -> Streams:
    n = trial.size
    extras = Extras(
        times=(trial.uniform(2, n, 2, high=20.0), trial.uniform(2, audio, 2, high=20.0)),
        denoising_step=(trial.uniform(2, n), trial.uniform(2, 1)),
    )
    return Streams(streams=(trial.normal(2, n, 12), trial.normal(2, audio, 8)), extras=extras)


def _flat(*streams: Tensor) -> Tensor:
    return torch.cat([stream.flatten() for stream in streams])


@reduction(of=LTX2AVCrossAttention, says="gates = 0: the identity on both streams")
def closed_gates(trial: Run) -> tuple[Tensor, Tensor]:
    """Nothing crosses a closed gate."""
    module, inputs = _layer(trial), _streams(trial)
    with torch.no_grad():
        for stream in (module.video, module.audio):
            for parameter in (stream.table[4], *stream.gate.parameters()):
                parameter.zero_()
    return _flat(*module(inputs).streams), _flat(*inputs.streams)


@reduction(of=LTX2AVCrossAttention, says="perturbation = 0: the identity on both streams")
def independent_streams(trial: Run) -> tuple[Tensor, Tensor]:
    """The perturbation takes the modalities apart."""
    module, inputs = _layer(trial), _streams(trial)
    apart = replace(inputs, carry={"perturbation": torch.zeros(2, 2, 1, 1, dtype=trial.dtype)})
    return _flat(*module(apart).streams), _flat(*inputs.streams)


@reduction(of=LTX2AVCrossAttention, says="all times equal: cross attention without positions")
def equal_times(trial: Run) -> tuple[Tensor, Tensor]:
    """One common rotation cancels."""
    operands = _layer(trial).project(_streams(trial))
    together = operands.with_tensors({f"times.{i}": torch.full_like(t, 7.3) for i, t in enumerate(operands.times)})
    plain = [(q @ k.mT / 2).softmax(-1) @ v for q, k, v in zip(operands.q, operands.k, operands.v, strict=True)]
    return _flat(*trial.mix(together).tensors().values()), _flat(*plain)


@reduction(of=LTX2AVCrossAttention, says="one audio token: every video token gets W_o(W_v audio) times the gate")
def one_audio_token(trial: Run) -> tuple[Tensor, Tensor]:
    """A single key has weight one, wherever in time it lies."""
    module, inputs = _layer(trial), _streams(trial, audio=1)
    video, audio = inputs.streams
    step = 1000 * steps_of(inputs)[1]
    rows = module.audio.table[:4] + module.audio.rows(step)
    audio = audio / (audio.square().mean(-1, keepdim=True) + 1e-6).sqrt() * (1 + rows[:, :, 0]) + rows[:, :, 1]
    gate = module.video.table[4] + module.video.gate(step)[:, :, 0]
    return module(inputs).x, video + module.a2v.to_out(module.a2v.to_v(audio)) * gate


@reduction(of=LTX2AVCrossAttention, says="shifting all times of both streams changes nothing")
def time_shift(trial: Run) -> tuple[Tensor, Tensor]:
    """Only differences of times count."""
    operands = _layer(trial).project(_streams(trial))
    later = operands.with_tensors({f"times.{i}": t + 3.7 for i, t in enumerate(operands.times)})
    return _flat(*trial.mix(later).tensors().values()), _flat(*trial.mix(operands).tensors().values())


@reduction(of=LTX2AVCrossAttention, says="the order of the directions does not matter: both read the streams as given")
def any_order(trial: Run) -> tuple[Tensor, Tensor]:
    """Both directions together give what each gives while the other is switched off."""
    module, inputs = _layer(trial), _streams(trial)
    only = torch.eye(2, dtype=trial.dtype)[:, :, None, None, None].expand(2, 2, 2, 1, 1)
    alone = [module(replace(inputs, carry={"perturbation": strength})).streams[i] for i, strength in enumerate(only)]
    return _flat(*module(inputs).streams), _flat(*alone)
