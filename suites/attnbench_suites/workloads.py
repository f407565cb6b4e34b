"""Modules and random inputs for a case, one generator a layout. The only place that knows the keys of `Case.shape`.

sequence     batch, n, dim, heads; s and context_dim for cross patterns
grid2d       batch, height, width, dim, heads
grid3d       batch, frames, height, width, dim, heads
feature_map  batch, height, width, dim (channels), heads
ragged       counts (rows of each group), dim, heads
two_stream   batch, n, m, dim, other_dim, heads
set          groups (series of each group), steps, dim, heads
graph        nodes, edges, dim, heads
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnbench.contract import (
    Attention,
    Draw,
    Extra,
    Extras,
    FeatureMap,
    Graph,
    Grid,
    GroupedSet,
    Inputs,
    Layout,
    Pattern,
    Ragged,
    Sequence,
    Stack,
    Streams,
    Volume,
)
from attnbench.facts import Case, VariantFacts

CROSS = frozenset({Pattern.NONCAUSAL_CROSS, Pattern.CAUSAL_CROSS})
CAUSAL = frozenset({Pattern.CAUSAL_SELF, Pattern.CAUSAL_CROSS, Pattern.DECODE})


def build(variant: type[Attention[Any, Any, Any]], case: Case) -> Attention[Any, Any, Any]:
    """Build the module of a case: its width, its heads and its settings.

    Whatever it draws at its start is the same in every process, so that worker and judge build the same module.
    """
    make: Callable[..., Attention[Any, Any, Any]] = variant
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(integer(case, "dim"), integer(case, "heads"), **hyperparameters(case))


def build_stack(variant: type[Attention[Any, Any, Any]], case: Case, depth: int) -> Stack[Any]:
    """Build a stack of the case's layers."""
    return variant.stack(depth, integer(case, "dim"), integer(case, "heads"), **hyperparameters(case))


def hyperparameters(case: Case) -> dict[str, object]:
    """Return what the constructor takes beside the width and the heads."""
    widths = {key: case.shape[key] for key in ("other_dim", "context_dim") if key in case.shape}
    return {**case.settings, **widths}


def inputs(case: Case, facts: VariantFacts, draw: Draw) -> Inputs:
    """Draw the inputs of a case, with the extras that its variant requires, on the CPU in the draw's dtype."""
    made = _GENERATORS[case.layout](case, draw)
    extras = {name: _EXTRAS[name](case, draw) for name in sorted(facts.requires)}
    if case.options.get("padding"):
        extras[Extra.KEY_PADDING] = _padding(case, draw)
    named: dict[str, Any] = {name.value: value for name, value in extras.items()}
    return replace(made, extras=Extras(**named))


def integer(case: Case, key: str) -> int:
    """Read an integer extent of a case's shape."""
    value = case.shape[key]
    if not isinstance(value, int):
        raise TypeError(f"{case.id}: {key} must be an integer")
    return value


def integers(case: Case, key: str) -> list[int]:
    """Read a list of extents of a case's shape."""
    value = case.shape[key]
    return [value] if isinstance(value, int) else list(value)


def _sequence(case: Case, draw: Draw) -> Sequence:
    batch, n, dim = (integer(case, key) for key in ("batch", "n", "dim"))
    context = None
    if case.pattern in CROSS:
        context = draw.normal(batch, integer(case, "s"), integer(case, "context_dim"))
    return Sequence(x=draw.normal(batch, n, dim), context=context, causal=case.pattern in CAUSAL)


def _grid(case: Case, draw: Draw) -> Grid:
    return Grid(x=draw.normal(*(integer(case, key) for key in ("batch", "height", "width", "dim"))))


def _volume(case: Case, draw: Draw) -> Volume:
    return Volume(x=draw.normal(*(integer(case, key) for key in ("batch", "frames", "height", "width", "dim"))))


def _feature_map(case: Case, draw: Draw) -> FeatureMap:
    return FeatureMap(x=draw.normal(*(integer(case, key) for key in ("batch", "dim", "height", "width"))))


def _ragged(case: Case, draw: Draw) -> Ragged:
    counts = torch.tensor(integers(case, "counts"))
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    return Ragged(x=draw.normal(int(offsets[-1]), integer(case, "dim")), offsets=offsets)


def _streams(case: Case, draw: Draw) -> Streams:
    batch, n, m, dim, other = (integer(case, key) for key in ("batch", "n", "m", "dim", "other_dim"))
    return Streams(streams=(draw.normal(batch, n, dim), draw.normal(batch, m, other)))


def _set(case: Case, draw: Draw) -> GroupedSet:
    sizes, steps = integers(case, "groups"), integer(case, "steps")
    ids = torch.cat([torch.full((size,), 7 * index + 3) for index, size in enumerate(sizes)])
    ids = ids[draw.permutation(len(ids))]
    observed = draw.boolean(len(ids), steps, probability=0.8)
    return GroupedSet(x=draw.normal(len(ids), steps, integer(case, "dim")), group_ids=ids, observed=observed)


def _graph(case: Case, draw: Draw) -> Graph:
    nodes, edges = integer(case, "nodes"), integer(case, "edges")
    return Graph(x=draw.normal(nodes, integer(case, "dim")), edges=draw.integers(0, nodes - 1, 2, edges))


def _padding(case: Case, draw: Draw) -> Tensor:
    """Real keys first, at least one in each row, and at least one padded key in the first."""
    batch = integer(case, "batch")
    keys = integer(case, "s" if case.pattern in CROSS else "n")
    real = draw.integers(1, keys, batch)
    real[0] = max(1, keys - 1)
    return torch.arange(keys) < real[:, None]


def _intervals(case: Case, draw: Draw) -> tuple[Tensor, ...]:
    """Time intervals in seconds, one a token, in order, for each stream."""

    def stream(tokens: int) -> Tensor:
        starts = draw.uniform(integer(case, "batch"), tokens, high=8.0).sort(-1).values
        return torch.stack([starts, starts + 0.25], -1)

    return stream(integer(case, "n")), stream(integer(case, "m"))


def _noise_levels(case: Case, draw: Draw) -> tuple[Tensor, ...]:
    """One level for each token of the first stream, one for all of the second: both forms that variants must take."""
    batch = integer(case, "batch")
    return draw.uniform(batch, integer(case, "n")), draw.uniform(batch, 1)


_GENERATORS: Mapping[Layout, Callable[[Case, Draw], Inputs]] = {
    Layout.SEQUENCE: _sequence,
    Layout.GRID2D: _grid,
    Layout.GRID3D: _volume,
    Layout.FEATURE_MAP: _feature_map,
    Layout.RAGGED: _ragged,
    Layout.TWO_STREAM: _streams,
    Layout.SET: _set,
    Layout.GRAPH: _graph,
}
_EXTRAS: Mapping[Extra, Callable[[Case, Draw], object]] = {
    Extra.TIMES: _intervals,
    Extra.DENOISING_STEP: _noise_levels,
}
