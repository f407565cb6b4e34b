"""What a mechanism returns: one or several streams, and optionally what happened inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from attnbench.contract.tensors import TensorRecord


@dataclass(frozen=True, kw_only=True)
class Auxiliaries(TensorRecord):
    """Optional by-products. Rows of attention probabilities need not sum to one.

    Attributes:
        columns: (C,) the key columns that `probabilities` holds, or None for all of them.
        probabilities: (B, H, N, C).
        log_sum_exp: (B, H, N) logarithm of the softmax denominator.
        selected: integer indices of whatever was selected.
        per_head: (B, H, N, D) values before the heads are merged.
        losses: auxiliary losses by name, each a scalar.
    """

    columns: Tensor | None = None
    probabilities: Tensor | None = None
    log_sum_exp: Tensor | None = None
    selected: Tensor | None = None
    per_head: Tensor | None = None
    losses: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outputs(TensorRecord):
    """The result of a layer.

    Attributes:
        streams: the output of each input stream, in their order and shapes.
        aux: by-products.
        carry: what later layers of a stack may read.
    """

    streams: tuple[Tensor, ...]
    aux: Auxiliaries = field(default_factory=Auxiliaries)
    carry: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The first stream."""
        return self.streams[0]

    @classmethod
    def of(cls, *streams: Tensor) -> "Outputs":
        """Wrap streams that come without by-products."""
        return cls(streams=streams)
