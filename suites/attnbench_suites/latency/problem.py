"""A case made concrete: from the same seed, worker and judge make the same module and the same operands."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from attnbench.contract import Attention, DecodableAttention, Draw, Inputs, Operands, Sequence, State
from attnbench.facts import Case
from attnbench_suites import workloads
from attnbench_suites.latency.cases import Direction

# Streams of random values of one case: sets of inputs from 0 on, the gradients that flow into their results, the rest.
STREAMS = 64
GRADIENTS, MODULE, ROWS = 24, 48, 49
KEPT_VALUES = 2**16
CHUNK = 512


class Problem:
    """What a case asks to be computed.

    Attributes:
        case: the case.
        rounded: the dtype that operands are rounded to.
        drawn: the dtype that module and inputs are drawn in.
    """

    def __init__(
        self, variant: type[Attention[Any, Any, Any]], case: Case, seed: int, drawn: torch.dtype = torch.float64
    ) -> None:
        self.variant, self.case, self.seed, self.drawn = variant, case, seed, drawn
        self.rounded: torch.dtype = getattr(torch, case.dtype)

    @cached_property
    def module(self) -> Attention[Any, Any, Any]:
        """The module, with random weights, in evaluation."""
        return self.draw(MODULE).module(workloads.build(self.variant, self.case))

    def draw(self, index: int) -> Draw:
        """Return one of the case's streams of random values."""
        return Draw(self.seed * STREAMS + index, self.drawn)

    def inputs(self, index: int) -> Inputs:
        """Draw what the module is given in a set: for decoding, the last token."""
        made = workloads.inputs(self.case, self.variant.facts, self.draw(index))
        return _tokens(made, -1, None) if self.case.kind == Direction.DECODE else made

    @torch.no_grad()
    def operands(self, index: int) -> Operands:
        """Project a set of inputs on the CPU, and round."""
        if self.case.kind == Direction.DECODE:
            operands, _ = self.decode(index)
        else:
            operands = self.module.project(self.inputs(index))
        return operands.map(Tensor.detach).to(self.rounded)

    @torch.no_grad()
    def decode(self, index: int) -> tuple[Operands, State]:
        """Fill a state with all tokens but the last; return the last one's operands, and the state that knows it.

        The definition runs over the earlier tokens only where the state comes out of the core.
        """
        module = self.module
        if not isinstance(module, DecodableAttention):
            raise TypeError(f"{self.case.id}: the variant cannot decode")
        made = workloads.inputs(self.case, self.variant.facts, self.draw(index))
        n = workloads.integer(self.case, "n")
        state = module.init_state(workloads.integer(self.case, "batch"), n)
        advance = module.extend if type(module).absorb is DecodableAttention.absorb else module.step
        for start in range(0, n - 1, CHUNK):
            _, state = advance(_tokens(made, start, min(start + CHUNK, n - 1)), state)
        operands, state = module.extend(_tokens(made, n - 1, n), state)
        return operands, state

    def weights(self, results: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
        """Draw the gradients that flow into the results of a set, the same for every implementation."""
        draw = self.draw(GRADIENTS + index)
        floats = sorted(name for name, one in results.items() if one.is_floating_point())
        drawn = {name: draw.normal(*results[name].shape).to(self.rounded) for name in floats}
        return {name: one.to(results[name].device, results[name].dtype) for name, one in drawn.items()}

    def excerpt(self, results: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy results with their shapes; of large ones, whole rows that the seed picks."""
        rows = {f"rows.{name}": self._rows(one.detach()) for name, one in results.items()}
        return rows | {f"shape.{name}": torch.tensor(one.shape, dtype=torch.long) for name, one in results.items()}

    def _rows(self, result: Tensor) -> Tensor:
        if result.numel() <= KEPT_VALUES or result.ndim < 2:
            return result.clone()
        table = result.reshape(-1, result.shape[-1])
        picked = self.draw(ROWS).permutation(len(table))[: max(1, KEPT_VALUES // table.shape[1])]
        return table[picked.to(result.device)]


def _tokens(made: Inputs, start: int, end: int | None) -> Sequence:
    if not isinstance(made, Sequence):
        raise TypeError(f"only sequences are decoded, not {type(made).__name__}")
    return replace(made, x=made.x[:, start:end])
