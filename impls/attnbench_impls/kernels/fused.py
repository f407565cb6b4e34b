"""PyTorch's fused softmax attention, for heads whose keys and values differ in width."""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench_impls.kernels.softmax import distance


def fused_attention(q: Tensor, k: Tensor, v: Tensor, *, scale: float, causal: bool) -> Tensor:
    """Attend from q (B, H, N, D) to k (B, H, S, D) and v (B, H, S, D_v), causal at the bottom right.

    The narrower of the two widths is filled up with zeros: torch's fused kernels want one width, and its fall back to
    separate matmuls costs more than the zeros do. A query without a visible key yields zeros.
    """
    queries, keys, width = q.shape[2], k.shape[2], max(q.shape[3], v.shape[3])
    q, k, wide = (F.pad(x, (0, width - x.shape[3])) for x in (q, k, v))
    if not causal or queries in (1, keys):
        top_left = causal and queries == keys
        return F.scaled_dot_product_attention(q, k, wide, is_causal=top_left, scale=scale)[..., : v.shape[3]]
    past = distance(queries, keys, q.device) >= 0
    out = F.scaled_dot_product_attention(q, k, wide, attn_mask=past, scale=scale)[..., : v.shape[3]]
    return torch.where(past.any(-1, keepdim=True), out, 0.0)
