"""What an implementation is compared with in the same blocks: the usual thing of the same size.

`sdpa` is dense attention over all tokens of the layout: what one pays when the structure is ignored. `copy` reads and
writes a feature map once. Both are cores on operands of their own, so that they are differentiated like any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from attnbench.contract import Draw, Layout, Operands
from attnbench.facts import Case
from attnbench_suites.latency.cases import Direction
from attnbench_suites.workloads import CAUSAL, integer, integers


@dataclass(frozen=True, kw_only=True)
class Heads(Operands):
    """Dense attention: q (B, H, N, D), k and v (B, H, S, D)."""

    q: Tensor
    k: Tensor
    v: Tensor
    causal: bool


@dataclass(frozen=True, kw_only=True)
class Map(Operands):
    """A feature map x (B, C, height, width)."""

    x: Tensor


@dataclass(frozen=True)
class Baseline:
    """A core, and how its operands are drawn for a case."""

    operands: Callable[[Case, Draw], Operands]
    core: Callable[[Any], Tensor]


def dense(operands: Heads) -> Tensor:
    """Run torch's scaled_dot_product_attention, with the kernel that torch picks."""
    return F.scaled_dot_product_attention(operands.q, operands.k, operands.v, is_causal=operands.causal)


def copy(operands: Map) -> Tensor:
    """Multiply by one: unlike the gradient of a clone, that of a product moves the map too."""
    return operands.x * 1.0


def _heads(case: Case, draw: Draw) -> Heads:
    """Lay heads out as a model has them: split from model width by a projection, or whole in a cache."""
    batch = integer(case, "batch") if "batch" in case.shape else 1
    heads = integer(case, "heads")
    width = integer(case, "dim") // heads
    if case.kind == Direction.DECODE:
        n = integer(case, "n")
        q, k, v = (draw.normal(batch, heads, rows, width) for rows in (1, n, n))
        return Heads(q=q, k=k, v=v, causal=False)
    queries, keys = _tokens(case)
    q, k, v = (draw.normal(batch, rows, heads, width).transpose(1, 2) for rows in (queries, keys, keys))
    return Heads(q=q, k=k, v=v, causal=case.pattern in CAUSAL)


def _tokens(case: Case) -> tuple[int, int]:
    """Count queries and keys: all tokens of the layout, in whatever structure they lie."""
    if case.layout is Layout.RAGGED:
        tokens = sum(integers(case, "counts"))
    elif case.layout is Layout.SET:
        tokens = sum(integers(case, "groups")) * integer(case, "steps")
    elif case.layout is Layout.TWO_STREAM:
        tokens = integer(case, "n") + integer(case, "m")
    else:
        tokens = prod(integer(case, key) for key in ("n", "frames", "height", "width", "nodes") if key in case.shape)
    return tokens, integer(case, "s") if "s" in case.shape else tokens


def _map(case: Case, draw: Draw) -> Map:
    return Map(x=draw.normal(*(integer(case, key) for key in ("batch", "dim", "height", "width"))))


BASELINES: Mapping[str, Baseline] = {"sdpa": Baseline(_heads, dense), "copy": Baseline(_map, copy)}
