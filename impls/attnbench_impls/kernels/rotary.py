"""Rotary position embedding: channel pairs turned by an angle that grows with the position."""

from dataclasses import dataclass

import torch
from torch import Tensor

from attnbench.contract import Sequence
from attnbench.errors import UserError, unknown

LAYOUTS = ("interleaved", "half")


@dataclass(frozen=True)
class Rotary:
    """Rotation of heads `width` channels wide; pair m turns by position * base^(-2 m / width).

    Source: RoFormer, 2021.

    Attributes:
        width: channels of a head, an even number; 0 for heads without positions.
        base: the larger, the slower the last pairs turn.
        layout: which channels form pair m: `interleaved` takes 2m and 2m + 1, `half` takes m and m + width / 2.

    Raises:
        UserError: an odd width, or an unknown layout.
    """

    width: int
    base: float = 10000.0
    layout: str = "interleaved"

    def __post_init__(self) -> None:
        if self.width % 2:
            raise UserError(f"rotary heads need an even width, got {self.width}")
        if self.layout not in LAYOUTS:
            raise unknown("rotary layout", self.layout, LAYOUTS)

    def __call__(self, x: Tensor, positions: Tensor) -> Tensor:
        """Turn x (B, H, N, width) to `positions` (N,) or (B, N); angles are computed in float32 at least."""
        wide = torch.promote_types(x.dtype, torch.float32)
        speeds = self.base ** (-torch.arange(0, self.width, 2, device=x.device, dtype=wide) / max(self.width, 1))
        angles = positions.to(wide)[..., None] * speeds
        if positions.ndim == 2:
            angles = angles[:, None]
        cos, sin = angles.cos(), angles.sin()
        pairs = x.to(wide).unflatten(-1, (-1, 2) if self.layout == "interleaved" else (2, -1))
        axis = -1 if self.layout == "interleaved" else -2
        a, b = pairs.unbind(axis)
        return torch.stack([a * cos - b * sin, b * cos + a * sin], axis).flatten(-2).to(x.dtype)


def positions_of(inputs: Sequence, seen: int = 0) -> Tensor:
    """Return the positions (N,) or (B, N) of the tokens: as given in the extras, else counted on from `seen`."""
    given = inputs.extras.position_ids
    return torch.arange(seen, seen + inputs.x.shape[1], device=inputs.x.device) if given is None else given
