"""Video and audio that read each other: inputs, modulation, projections and operands."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import Operands, Streams, TensorRecord
from attnbench.errors import UserError
from attnbench_impls.kernels.softmax import merge_heads, split_heads
from attnbench_impls.kernels.temporal_rotary import TimeBands
from attnbench_impls.kernels.timestep import TimestepMLP

Two = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class AudioVideoOperands(Operands):
    """Heads of both directions: in the first, video (stream 0) reads audio (stream 1), in the second audio reads video.

    Attributes:
        q: of the reading stream, (B, H, N, D), before rotation.
        k: of the stream that is read, (B, H, S, D), before rotation.
        v: of the stream that is read, (B, H, S, D).
        gate: (B, H, N) factors on what each head read, or None.
        times: (B, N) of each stream, video first, in seconds.
        rotary: how times turn the channels of q and k.
    """

    PRECISE = frozenset({"times"})
    CONSTANT = frozenset({"times"})

    q: Two
    k: Two
    v: Two
    gate: Two | None
    times: Two
    rotary: TimeBands


@dataclass(frozen=True, kw_only=True)
class AudioVideo(TensorRecord):
    """What each stream read from the other, (B, H, N, D)."""

    video: Tensor
    audio: Tensor


def step_networks(video_dim: int, audio_dim: int) -> nn.ModuleDict:
    """Build what turns denoising steps into the rows that modulate a stream, and into the gate of its update."""
    networks = {}
    for stream, dim in (("video", video_dim), ("audio", audio_dim)):
        networks[f"{stream}_rows"] = TimestepMLP(dim, 4)
        networks[f"{stream}_gate"] = TimestepMLP(dim, 1)
    return nn.ModuleDict(networks)


class StreamModulation(nn.Module):
    """One stream's table of offsets, which belongs to a layer, on top of networks that layers may share.

    Attributes:
        table: (5, D): scale and shift for the first direction, for the second, and the gate.
        rows: this stream's step -> scale and shift for the first direction, and for the second.
        gate: noise level of the other stream -> gate.
    """

    def __init__(
        self, dim: int, rows: nn.Module, gate: nn.Module, *, eps: float, step_scale: float, gate_scale: float
    ) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(5, dim))
        self.rows, self.gate = rows, gate
        self.eps, self.step_scale, self.gate_scale = eps, step_scale, gate_scale

    def forward(self, x: Tensor, step: Tensor) -> Two:
        """Return x (B, N, D) as the first direction reads it, and as the second does; step (B, N) or (B, 1)."""
        rows = self.table[:4] + self.rows(step * self.step_scale)
        first_scale, first_shift, second_scale, second_shift = rows.unbind(2)
        x = F.rms_norm(x, x.shape[-1:], eps=self.eps)
        return x * (1 + first_scale) + first_shift, x * (1 + second_scale) + second_shift

    def strength(self, other_step: Tensor) -> Tensor:
        """Return the factors (B, 1, D) on this stream's update, from the other stream's steps (B, N) or (B, 1).

        A stream's noise level is that of its noisiest token, because tokens that are given are clean.
        """
        level = other_step.amax(1, keepdim=True) * self.gate_scale
        factors: Tensor = self.table[4] + self.gate(level).squeeze(2)
        return factors


class Direction(nn.Module):
    """Projections of the direction in which a stream of width `dim` reads one of width `source_dim`."""

    def __init__(
        self, dim: int, source_dim: int, heads: int, head_dim: int, *, eps: float, gated: bool, depth: int
    ) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_dim
        self.to_q, self.to_out = nn.Linear(dim, inner), nn.Linear(inner, dim)
        self.to_k, self.to_v = nn.Linear(source_dim, inner), nn.Linear(source_dim, inner)
        self.to_gate = nn.Linear(dim, heads) if gated else None
        self.q_norm, self.k_norm = nn.RMSNorm(inner, eps=eps), nn.RMSNorm(inner, eps=eps)
        for linear in (module for module in self.modules() if isinstance(module, nn.Linear)):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():
            self.to_out.weight.div_((2 * depth) ** 0.5)

    def forward(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Return q, k, v by heads, and the gate; the norms of q and k run over all heads together."""
        q, k = self.q_norm(self.to_q(x)), self.k_norm(self.to_k(source))
        gate = None if self.to_gate is None else 2 * self.to_gate(x).sigmoid().mT
        return split_heads(q, self.heads), split_heads(k, self.heads), split_heads(self.to_v(source), self.heads), gate

    def back(self, mixed: Tensor) -> Tensor:
        """Return what was read (B, H, N, d) to the width of the reading stream."""
        out: Tensor = self.to_out(merge_heads(mixed))
        return out


def steps_of(inputs: Streams) -> Two:
    """Return the denoising steps of video and audio, (B, N) or (B, 1) each.

    Raises:
        UserError: the inputs do not bring one tensor a stream.
    """
    return _one_a_stream(inputs.extras.denoising_step, "denoising_step")


def midpoints_of(inputs: Streams) -> Two:
    """Return the middle of every token's time interval, (B, N) of video and of audio, in seconds.

    Raises:
        UserError: the inputs do not bring one tensor a stream.
    """
    video, audio = (one.mean(-1) if one.ndim == 3 else one for one in _one_a_stream(inputs.extras.times, "times"))
    return video, audio


def _one_a_stream(given: tuple[Tensor, ...] | None, name: str) -> Two:
    if given is None or len(given) != 2:
        raise UserError(f"the extra {name!r} is needed as two tensors, one for video and one for audio")
    return given[0], given[1]
