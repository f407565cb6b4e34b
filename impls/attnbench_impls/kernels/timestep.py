"""Embedding of denoising steps into the vectors that modulate tokens."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FREQUENCIES = 128


class TimestepMLP(nn.Module):
    """Adaptive layer norm's network: step -> 256 sines -> D -> D -> `rows` vectors of width D.

    The last layer starts at zero, so that every modulation starts as the identity.
    Source: Scalable Diffusion Models with Transformers, 2022.
    """

    def __init__(self, dim: int, rows: int) -> None:
        super().__init__()
        self.rows = rows
        self.first = nn.Linear(2 * FREQUENCIES, dim)
        self.second = nn.Linear(dim, dim)
        self.last = nn.Linear(dim, rows * dim)
        for layer, std in ((self.first, 0.02), (self.second, 0.02), (self.last, 0.0)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, step: Tensor) -> Tensor:
        """Map steps (B, N), scaled already, to (B, N, rows, D)."""
        waves = sinusoids(step).to(self.last.weight.dtype)
        hidden = F.silu(self.second(F.silu(self.first(waves))))
        return torch.unflatten(self.last(hidden), -1, (self.rows, -1))


def sinusoids(step: Tensor) -> Tensor:
    """Return cosines, then sines, of step (...) at 128 rates from 1 down towards 1 / 10000: (..., 256)."""
    index = torch.arange(FREQUENCIES, device=step.device, dtype=step.dtype)
    angle = step[..., None] * torch.exp(-math.log(10000) * index / FREQUENCIES)
    return torch.cat([angle.cos(), angle.sin()], -1)
