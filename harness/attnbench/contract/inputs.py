"""Typed inputs, one record for each layout, and the optional extras that any of them may carry.

Boolean masks say True where something may be attended to. B batch, N tokens, S source tokens, D model width.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from attnbench.contract.outputs import Outputs
from attnbench.contract.state import State
from attnbench.contract.tensors import TensorRecord
from attnbench.nouns import Layout


@dataclass(frozen=True, kw_only=True)
class Extras(TensorRecord):
    """Optional inputs. A variant names those that it requires or accepts (`attnbench.nouns.Extra`).

    Attributes:
        position_ids: (B, N) or (N,) integer positions.
        times: one tensor a stream, (B, N) midpoints or (B, N, 2) intervals, in seconds.
        key_padding: (B, S), True for real keys.
        segments: (B, N) integer document ids; tokens of different documents never meet.
        token_types: (B, N) integer types.
        prefix_length: (B,) tokens at the start that see each other in both directions.
        denoising_step: one tensor a stream, (B, N) or (B, 1), noise level in [0, 1].
        value_source: (B, S, D) source of the values where it differs from that of the keys.
        initial_state: what an earlier segment of the same sequences left behind.
        generator: source of all randomness in training.
    """

    PRECISE: ClassVar[frozenset[str]] = frozenset({"times", "denoising_step"})
    CONSTANT: ClassVar[frozenset[str]] = frozenset({"times", "denoising_step"})

    position_ids: Tensor | None = None
    times: tuple[Tensor, ...] | None = None
    key_padding: Tensor | None = None
    segments: Tensor | None = None
    token_types: Tensor | None = None
    prefix_length: Tensor | None = None
    denoising_step: tuple[Tensor, ...] | None = None
    value_source: Tensor | None = None
    initial_state: State | None = None
    generator: torch.Generator | None = None


@dataclass(frozen=True, kw_only=True)
class Inputs(TensorRecord):
    """Base of all inputs.

    Attributes:
        extras: the optional inputs.
        carry: what earlier layers of a stack handed on (selected indices, a value residual).
    """

    LAYOUT: ClassVar[Layout]

    extras: Extras = field(default_factory=Extras)
    carry: Mapping[str, Tensor] = field(default_factory=dict)

    def advance(self, outputs: Outputs) -> Self:
        """Return the inputs of the next layer: these, with the streams and the carry that `outputs` brought."""
        changed: dict[str, Any] = self._streams(outputs)
        return replace(self, **changed, carry={**self.carry, **outputs.carry})

    def _streams(self, outputs: Outputs) -> dict[str, object]:
        return {"x": outputs.x}


@dataclass(frozen=True, kw_only=True)
class Sequence(Inputs):
    """A sequence x (B, N, D), attending to itself or to `context` (B, S, D_context).

    Causal is aligned at the bottom right: query i of N sees the keys up to S - N + i.
    """

    LAYOUT: ClassVar[Layout] = Layout.SEQUENCE

    x: Tensor
    context: Tensor | None = None
    causal: bool = False


@dataclass(frozen=True, kw_only=True)
class Grid(Inputs):
    """A grid of tokens x (B, height, width, D)."""

    LAYOUT: ClassVar[Layout] = Layout.GRID2D

    x: Tensor


@dataclass(frozen=True, kw_only=True)
class Volume(Inputs):
    """A video or volume of tokens x (B, frames, height, width, D)."""

    LAYOUT: ClassVar[Layout] = Layout.GRID3D

    x: Tensor


@dataclass(frozen=True, kw_only=True)
class FeatureMap(Inputs):
    """A convolutional feature map x (B, C, height, width)."""

    LAYOUT: ClassVar[Layout] = Layout.FEATURE_MAP

    x: Tensor


@dataclass(frozen=True, kw_only=True)
class Ragged(Inputs):
    """Groups of unequal size as one sequence x (M, D), sorted by group.

    Attributes:
        offsets: (W + 1,) integers, group w holds the rows offsets[w] to offsets[w + 1]; a group may be empty.
        coordinates: (M, axes) integer coordinates, batch first, or None.
    """

    LAYOUT: ClassVar[Layout] = Layout.RAGGED

    x: Tensor
    offsets: Tensor
    coordinates: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Streams(Inputs):
    """Two or more token streams of unequal length and width, each (B, N_i, D_i)."""

    LAYOUT: ClassVar[Layout] = Layout.TWO_STREAM

    streams: tuple[Tensor, ...]

    def _streams(self, outputs: Outputs) -> dict[str, object]:
        return {"streams": outputs.streams}


@dataclass(frozen=True, kw_only=True)
class GroupedSet(Inputs):
    """A set of S series x (S, T, D), divided into groups.

    Attributes:
        group_ids: (S,) integers, the same id is the same group, in any order.
        observed: (S, T) booleans, True where the patch may be attended to.
    """

    LAYOUT: ClassVar[Layout] = Layout.SET

    x: Tensor
    group_ids: Tensor
    observed: Tensor


@dataclass(frozen=True, kw_only=True)
class Graph(Inputs):
    """A directed graph with node features x (N, D).

    Attributes:
        edges: (2, E) integers, row 0 the sources, row 1 the destinations. Parallel edges count as often as they stand.
        edge_bias: (E,) or (E, H) additive scores, or None.
    """

    LAYOUT: ClassVar[Layout] = Layout.GRAPH

    x: Tensor
    edges: Tensor
    edge_bias: Tensor | None = None
