"""The contract: project -> mix -> merge, with an optional step for decoding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Generic, Self, TypeVar

from torch import Tensor, nn

from attnbench.contract.admission import admit
from attnbench.contract.inputs import Inputs
from attnbench.contract.outputs import Outputs
from attnbench.contract.state import State
from attnbench.contract.tensors import TensorRecord
from attnbench.facts import VariantFacts


class Unsupported(Exception):  # noqa: N818 - a verdict, not a fault
    """An implementation's word that it does not carry a case. The reason is shown to users as it stands."""


@dataclass(frozen=True, kw_only=True)
class Operands(TensorRecord):
    """What a mechanism's core works on: tensors, and the hyperparameters that the core reads."""


@dataclass(frozen=True)
class Place:
    """Where a layer stands in a stack.

    Attributes:
        index: 0-based position from the input.
        depth: number of layers; 1 for a layer built alone.
        shared: modules that all layers of the stack share, by name; None for a layer built alone.
    """

    index: int = 0
    depth: int = 1
    shared: nn.ModuleDict | None = None


I = TypeVar("I", bound=Inputs)  # noqa: E741 - the type of the inputs
P = TypeVar("P", bound=Operands)
M = TypeVar("M", bound=Tensor | TensorRecord)
S = TypeVar("S", bound=State)


class Attention(nn.Module, Generic[I, P, M]):
    """One attention mechanism: `project` makes operands, `mix` is the mechanism, `merge` returns to model width.

    Subclasses take `(dim, heads, *, place=Place(), **hyperparameters)` with the defaults of the catalogue entry.
    Variants of the two-stream layout take `other_dim`, the width of the second stream, beside them; cross
    attention in the sequence layout takes `context_dim`.

    Attributes:
        core: what computes the mix; an implementation replaces it through `use`.
    """

    facts: ClassVar[VariantFacts]

    def __init__(self) -> None:
        super().__init__()
        self.core: Callable[[P], M] = self.mix

    def project(self, inputs: I) -> P:
        """Turn inputs into the operands of the core."""
        raise NotImplementedError

    @staticmethod
    def mix(operands: P) -> M:
        """Compute the mechanism: the definition, right in float64. A pure function of its operands."""
        raise NotImplementedError

    def merge(self, mixed: M, inputs: I) -> Outputs:
        """Return from what the core computed to the streams at model width."""
        raise NotImplementedError

    def forward(self, inputs: I) -> Outputs:
        """Run the three steps.

        Raises:
            UserError: the variant is not defined for these inputs.
        """
        admit(self.facts, inputs)
        return self.merge(self.core(self.project(inputs)), inputs)

    def use(self, core: Callable[[P], M]) -> Self:
        """Compute the mix with `core` from now on, and return this module."""
        self.core = core
        return self

    @classmethod
    def shared(cls, dim: int, heads: int, **hyperparameters: object) -> nn.ModuleDict:  # noqa: ARG003
        """Build the modules that the layers of one stack share. Most variants share none."""
        return nn.ModuleDict()

    @classmethod
    def stack(cls, depth: int, dim: int, heads: int, **hyperparameters: object) -> "Stack[I]":
        """Build `depth` layers that know their place; layers share only what `shared` makes."""
        shared = cls.shared(dim, heads, **hyperparameters)
        build: Callable[..., Attention[I, P, M]] = cls
        layers = [build(dim, heads, place=Place(index, depth, shared), **hyperparameters) for index in range(depth)]
        return Stack(layers, shared)


class DecodableAttention(Attention[I, P, M], Generic[I, P, M, S]):
    """A mechanism that can run a few tokens at a time with a state."""

    def init_state(self, batch: int, capacity: int) -> S:
        """Make the state before the first token, with room for `capacity` tokens."""
        raise NotImplementedError

    def extend(self, inputs: I, state: S) -> tuple[P, S]:
        """Project new tokens, and return the operands that read the state, with the state that knows the tokens."""
        raise NotImplementedError

    def absorb(self, state: S, mixed: M) -> S:  # noqa: ARG002
        """Return the state after the core ran. Recurrent mechanisms take their new state from `mixed` here."""
        return state

    def step(self, inputs: I, state: S) -> tuple[Outputs, S]:
        """Run one or more new tokens. The state passed in must not be used again; `clone` it to split a decode."""
        operands, state = self.extend(inputs, state)
        mixed = self.core(operands)
        return self.merge(mixed, inputs), self.absorb(state, mixed)


class Stack(nn.Module, Generic[I]):
    """Layers of one variant, each reading what the one before it wrote, with the objects that they share."""

    def __init__(self, layers: "list[Attention[I, P, M]]", shared: nn.ModuleDict) -> None:
        super().__init__()
        self.shared = shared
        self.layers = nn.ModuleList(layers)

    def forward(self, inputs: I) -> Outputs:
        """Run all layers and return what the last one returned."""
        outputs: Outputs | None = None
        for layer in self.layers:
            outputs = layer(inputs)
            inputs = inputs.advance(outputs)
        if outputs is None:
            raise ValueError("a stack needs at least one layer")
        return outputs
