"""PyTorch's flex_attention, compiled once a process, with the cases that it does not carry named beforehand."""

import os
import shutil
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from attnbench.contract import Unsupported

# Every new combination of head widths, unit extents and grouping is one more specialisation of the same code.
SPECIALISATIONS = 128


def compiled_flex(q: Tensor, k: Tensor, v: Tensor, mask: BlockMask, scale: float) -> Tensor:
    """Attend from q (B, H, N, D) to k (B, H_kv, S, D) and v (B, H_kv, S, D_v) within a block mask.

    Raises:
        Unsupported: gradients or a missing compiler on the CPU, heads narrower than 16 on a GPU.
    """
    if q.device.type == "cpu":
        _check_cpu(q, k, v)
    elif min(q.shape[-1], v.shape[-1]) < 16:
        raise Unsupported("flex_attention needs heads at least 16 wide on a GPU")
    with torch._dynamo.config.patch(recompile_limit=SPECIALISATIONS):
        out: Tensor = _compile()(q, k, v, block_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
    return out


def _check_cpu(*operands: Tensor) -> None:
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in operands):
        raise Unsupported("flex_attention has no backward pass on the CPU")
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise Unsupported(f"flex_attention on the CPU needs a C++ compiler, and there is no {compiler}")


@cache
def _compile() -> Any:
    """Compile with symbolic lengths; `fullgraph` turns a silent fall back to the slow dense form into an error."""
    return torch.compile(flex_attention, dynamic=True, fullgraph=True)
