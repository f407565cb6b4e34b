"""What is computed for each kind of case: by the worker on the implementation, by the judge on the definition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from attnbench.contract import (
    Attention,
    DecodableAttention,
    Draw,
    Inputs,
    Operands,
    Property,
    Reduction,
    Sequence,
    TensorRecord,
    Trial,
)
from attnbench.facts import Case
from attnbench_suites.workloads import build, inputs, integer, integers

Core = Callable[[Any], Any]
Tensors = dict[str, Tensor]
T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """One case, on one core: the implementation's in the worker, the definition's in the judge.

    Attributes:
        variant: the class that projects and merges.
        core: what computes the mix.
        dtype: what to compute in; the judge computes in float64 whatever the case says.
        rounded: the dtype that operands are rounded to first, so that both sides start from the same numbers.
    """

    variant: type[Attention[Any, Any, Any]]
    core: Core
    case: Case
    seed: int
    dtype: torch.dtype
    rounded: torch.dtype
    device: str = "cpu"

    def operands(self) -> Operands:
        """Project random inputs in float64 on the CPU, round, and move them."""
        draw = Draw(self.seed)
        module = draw.module(build(self.variant, self.case))
        with torch.no_grad():
            made: Operands = module.project(inputs(self.case, self.variant.facts, draw))
        return made.to(self.rounded).to(self.dtype, self.device)

    def module(self) -> tuple[Attention[Any, Any, Any], Inputs, Draw]:
        """Build the module on this core with random weights, and inputs for it."""
        draw = Draw(self.seed)
        module = draw.module(build(self.variant, self.case)).use(self.core)
        made = inputs(self.case, self.variant.facts, draw)
        return module.to(self.device, self.dtype), made.to(self.dtype, self.device), draw


def forward(task: Task) -> Tensors:
    """The mix of random operands; what came back is no answer when it cost the operands their values."""
    operands = task.operands()
    before = operands.map(torch.clone).tensors()
    with torch.no_grad():
        mixed = flat(task.core(operands))
    changed = [name for name, tensor in operands.tensors().items() if not torch.equal(tensor, before[name])]
    return {f"changed operand {name}": before[name] for name in changed} or mixed


def gradients(task: Task) -> Tensors:
    """Gradients of a random projection of the outputs, for every differentiable operand."""
    operands = task.operands()
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in operands.differentiable().items()}
    mixed = flat(task.core(operands.with_tensors(leaves)))
    draw = Draw(task.seed + 1)
    total = torch.zeros((), dtype=task.dtype, device=task.device)
    for tensor in mixed.values():
        if tensor.is_floating_point():
            weight = draw.normal(*tensor.shape).to(task.rounded).to(tensor.dtype).to(task.device)
            total = total + (tensor * weight).sum()
    if not total.requires_grad:  # cut off from every operand
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    filled = [
        torch.zeros_like(leaf) if grad is None else grad for leaf, grad in zip(leaves.values(), found, strict=True)
    ]
    return dict(zip(leaves, filled, strict=True))


def causal(task: Task) -> Tensors:
    """Outputs up to a cut, with two different futures; the selected indices too where their causality is declared."""
    module, drawn, draw = task.module()
    made = _as(Sequence, drawn)
    cut = integer(task.case, "n") // 2
    future = draw.normal(*made.x[:, cut:].shape).to(task.dtype).to(task.device)
    with torch.no_grad():
        first, second = module(made), module(replace(made, x=torch.cat([made.x[:, :cut], future], 1)))
    found = {"first": first.x[:, :cut], "second": second.x[:, :cut]}
    if task.case.kind == Property.CAUSAL_SELECTION:
        for name, outputs in (("first_selected", first), ("second_selected", second)):
            found[name] = _as(Tensor, outputs.aux.selected)[:, :, :cut]
    return found


def batch_independent(task: Task) -> Tensors:
    """The first sample's outputs, in a batch and alone."""
    module, made, _ = task.module()
    batch = integer(task.case, "batch")
    alone = made.map(lambda tensor: tensor[:1] if tensor.ndim and tensor.shape[0] == batch else tensor)
    with torch.no_grad():
        together, single = module(made).streams, module(alone).streams
    pairs = zip(together, single, strict=True)
    return {f"{kind}{i}": one for i, (a, b) in enumerate(pairs) for kind, one in (("first", a[:1]), ("second", b))}


def rows_sum_to_one(task: Task) -> Tensors:
    """The mix of values that are all one: the sum of each row of weights."""
    operands = task.operands()
    ones = operands.with_tensors({"v": torch.ones_like(operands.tensors()["v"])})
    with torch.no_grad():
        return flat(task.core(ones))


def decode(task: Task) -> Tensors:
    """A prefill and single steps; and from a copy of the prefilled state, all that is left at once."""
    plain, drawn, _ = task.module()
    module, made = _as(DecodableAttention, plain), _as(Sequence, drawn)
    n, prefill = made.x.shape[1], int(task.case.options["prefill"] or 0)
    state = module.init_state(made.x.shape[0], n)
    outputs = []
    with torch.no_grad():
        if prefill:
            out, state = module.step(replace(made, x=made.x[:, :prefill]), state)
            outputs.append(out.x)
        spare = state.clone()
        for t in range(prefill, n):
            out, state = module.step(replace(made, x=made.x[:, t : t + 1]), state)
            outputs.append(out.x)
        resumed, _ = module.step(replace(made, x=made.x[:, prefill:]), spare)
    return {"steps": torch.cat(outputs, 1), "resumed": resumed.x}


def full_run(task: Task) -> Tensors:
    """What `decode` must give: the causal run over all tokens at once."""
    module, made, _ = task.module()
    with torch.no_grad():
        x = module(made).x
    return {"steps": x, "resumed": x[:, int(task.case.options["prefill"] or 0) :]}


def reduction(task: Task, declared: Reduction) -> tuple[Tensors, Tensors]:
    """Both sides of an identity, at each size."""
    got, expected = {}, {}
    for size in integers(task.case, "sizes"):
        with torch.no_grad():
            got[f"size{size}"], expected[f"size{size}"] = declared.check(
                Trial(task.seed + size, task.core, size, task.dtype)
            )
    return got, expected


def flat(mixed: Tensor | TensorRecord) -> Tensors:
    """Name what a core returned."""
    return mixed.tensors() if isinstance(mixed, TensorRecord) else {"out": mixed}


def _as(kind: type[T], value: object) -> T:
    if not isinstance(value, kind):
        raise TypeError(f"this case needs a {kind.__name__}, the variant gives {type(value).__name__}")
    return value


CHECKS: Mapping[str, Callable[[Task], Tensors]] = {
    "forward": forward,
    "gradients": gradients,
    "decode": decode,
    Property.CAUSAL_WEIGHTS: causal,
    Property.CAUSAL_SELECTION: causal,
    Property.BATCH_INDEPENDENT: batch_independent,
    Property.ROWS_SUM_TO_ONE: rows_sum_to_one,
}
