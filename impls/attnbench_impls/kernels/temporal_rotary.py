"""Rotary embedding of continuous times, with a frequency band of its own for each head."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from attnbench.errors import UserError


@dataclass(frozen=True)
class TimeBands:
    """One geometric ladder of rotations over the channel pairs of all heads, cut into one slice a head.

    Pair j of J turns by (pi / 2) theta^(j / (J - 1)) times 2 t / max_seconds - 1. Source: LTX-2, 2026.

    Attributes:
        heads: number of heads.
        width: channels of a head, an even number.
        theta: ratio of the fastest to the slowest rotation.
        max_seconds: the time in which the slowest rotation makes half a turn.
        interleaved: pair m of a head is channels 2m and 2m + 1, rather than m and m + width / 2.

    Raises:
        UserError: an odd width, or a single pair in all.
    """

    heads: int
    width: int
    theta: float = 10000.0
    max_seconds: float = 20.0
    interleaved: bool = False

    def __post_init__(self) -> None:
        if self.width % 2 or self.heads * self.width < 4:
            raise UserError(f"rotary bands need an even width and two pairs in all, got {self.heads} x {self.width}")

    def __call__(self, x: Tensor, times: Tensor) -> Tensor:
        """Turn x (B, H, N, width) to times (B, N) in seconds.

        Angles are in float64, as the fast pairs turn by thousands of radians. A turned pair comes back half a width
        apart in both layouts: dot products do not see the order of channels.
        """
        pairs = self.heads * self.width // 2
        ladder = torch.linspace(0, 1, pairs, dtype=torch.float64, device=x.device)
        speeds = (math.pi / 2 * self.theta**ladder).view(self.heads, 1, -1)
        angles = speeds * (2 * times.double() / self.max_seconds - 1)[:, None, :, None]
        wide = torch.promote_types(x.dtype, torch.float32)
        cos, sin = angles.cos().to(wide), angles.sin().to(wide)
        u, z = (x[..., 0::2], x[..., 1::2]) if self.interleaved else x.chunk(2, -1)
        return torch.cat([u * cos - z * sin, z * cos + u * sin], -1).to(x.dtype)
