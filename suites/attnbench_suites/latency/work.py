"""What one timed call does, and how its result is named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from attnbench.contract import Operands, TensorRecord, Unsupported
from attnbench_suites.latency.cases import Direction
from attnbench_suites.latency.problem import Problem

Core = Callable[[Any], Tensor | TensorRecord]
Weigh = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Work:
    """One set of inputs, ready to be computed again and again.

    Attributes:
        call: computes it; nothing else is on the clock.
        named: gives the tensors of a result their names.
    """

    call: Callable[[], object]
    named: Callable[[Any], dict[str, Tensor]]


def work(problem: Problem, core: Core, operands: Operands, index: int) -> Work:
    """Make the work of a case's direction: the core itself, or its gradients.

    Raises:
        Unsupported: gradients are asked for, and the core's result carries none.
    """
    if problem.case.kind == Direction.BACKWARD:
        return _backward(core, operands, lambda results: problem.weights(results, index))
    return Work(partial(core, operands), named)


def named(mixed: Tensor | TensorRecord) -> dict[str, Tensor]:
    """Name what a core returned."""
    return mixed.tensors() if isinstance(mixed, TensorRecord) else {"out": mixed}


def _backward(core: Core, operands: Operands, weigh: Weigh) -> Work:
    """Record the graph once; what is called is its differentiation, with the graph kept."""
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in operands.differentiable().items()}
    with torch.enable_grad():
        results = named(core(operands.with_tensors(leaves)))
    weights = weigh(results)
    outputs = [name for name, tensor in results.items() if tensor.requires_grad]
    if not outputs:
        raise Unsupported("its result carries no gradient")

    def name(gradients: tuple[Tensor | None, ...]) -> dict[str, Tensor]:
        pairs = zip(leaves.items(), gradients, strict=True)
        return {key: torch.zeros_like(leaf) if grad is None else grad for (key, leaf), grad in pairs}

    call = partial(
        torch.autograd.grad,
        [results[name] for name in outputs],
        list(leaves.values()),
        [weights[name] for name in outputs],
        retain_graph=True,
        allow_unused=True,
    )
    return Work(call, name)
