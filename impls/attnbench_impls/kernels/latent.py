"""Operands of attention over a latent that every head expands for itself."""

from dataclasses import dataclass

from torch import Tensor

from attnbench.contract import Operands


@dataclass(frozen=True, kw_only=True)
class LatentOperands(Operands):
    """Queries in heads; keys and values as the latent that all heads expand.

    Attributes:
        q_nope: (B, H, N, D_n), the part without positions.
        q_rope: (B, H, N, D_r), rotated.
        latent: (B, S, R), normalised.
        k_rope: (B, S, D_r), rotated; one key for all heads.
        w_uk: (H, D_n, R) from the latent to each head's keys.
        w_uv: (H, D_v, R) from the latent to each head's values.
        causal: query i sees the keys up to S - N + i (bottom right).
    """

    q_nope: Tensor
    q_rope: Tensor
    latent: Tensor
    k_rope: Tensor
    w_uk: Tensor
    w_uv: Tensor
    causal: bool = False
