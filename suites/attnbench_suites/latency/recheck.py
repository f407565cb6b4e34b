"""Are the kept results those of this case?

At the first row of a layout they are compared with the definition. At larger sizes the definition, a loop, would take
minutes: there the results must have its names, dtypes and shapes, be finite, differ where inputs differ, and follow
the inputs to another address. How exact an implementation is, the correctness suite says.
"""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

from attnbench.contract import Attention, TensorRecord
from attnbench.facts import Case
from attnbench.nouns import Profile
from attnbench_suites.correctness.tolerance import bound, compare
from attnbench_suites.latency.cases import Direction, smallest
from attnbench_suites.latency.problem import Problem
from attnbench_suites.latency.work import named, work

SLACK = 10.0
Excerpt = dict[str, Tensor]


def recheck(variant: type[Attention[Any, Any, Any]], case: Case, seed: int, tensors: Mapping[str, Tensor]) -> str:
    """Say what is wrong with the results that a worker kept; nothing when all is well."""
    kept = _grouped(tensors)
    moved, origin = kept.pop("moved", {}), kept.pop("origin", {})
    if not kept:
        return "no result of a timed call was kept"
    problem = Problem(variant, case, seed)
    limit = SLACK * bound(case.dtype, gradients=case.kind == Direction.BACKWARD)
    for index, excerpt in kept.items():
        trouble = _one(problem, int(index), excerpt, limit)
        if trouble:
            return f"inputs {index}: {trouble}"
    for (one, first), (other, second) in combinations(kept.items(), 2):
        if all(torch.equal(first[name], second[name]) for name in first):
            return f"inputs {one} and {other} differ, their results do not"
    followed = compare(moved, origin, limit)
    return "" if followed.passed else f"the same inputs at another address give another result: {followed.reason}"


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, Excerpt]:
    groups: defaultdict[str, Excerpt] = defaultdict(dict)
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = tensor
    return dict(groups)


def _one(problem: Problem, index: int, excerpt: Excerpt, limit: float) -> str:
    """Check one kept result."""
    if problem.case.profile is Profile.SMOKE:
        results, dtypes = _defined(problem, index)
        return _dtypes(excerpt, dtypes) or compare(excerpt, problem.excerpt(results), limit).reason
    if problem.case.kind == Direction.BACKWARD:
        leaves = problem.operands(index).differentiable()
        return _dtypes(excerpt, {name: leaf.dtype for name, leaf in leaves.items()}) or _gradient_shapes(
            excerpt, leaves
        )
    return _mergeable(problem, index, excerpt)


def _defined(problem: Problem, index: int) -> tuple[dict[str, Tensor], dict[str, torch.dtype]]:
    """Compute a set by the definition in float64 from the rounded operands; say which dtypes a core returns."""
    operands = problem.operands(index)
    defined = work(problem, problem.variant.mix, operands.to(torch.float64), index)
    result: Any = defined.call()
    typed = operands.differentiable() if problem.case.kind == Direction.BACKWARD else named(result.to(problem.rounded))
    return defined.named(result), {name: tensor.dtype for name, tensor in typed.items()}


def _dtypes(excerpt: Excerpt, dtypes: Mapping[str, torch.dtype]) -> str:
    """Compare names and dtypes, and look for what is not finite."""
    names = {name.partition(".")[2] for name in excerpt}
    if names != set(dtypes):
        return f"it returned {sorted(names)}, the definition returns {sorted(dtypes)}"
    for name, dtype in dtypes.items():
        rows = excerpt[f"rows.{name}"]
        if rows.dtype != dtype:
            return f"{name} is {rows.dtype}, not {dtype}"
        if not rows.double().isfinite().all():
            return f"{name} is not finite"
    return ""


def _gradient_shapes(excerpt: Excerpt, leaves: Mapping[str, Tensor]) -> str:
    found = {name: tuple(excerpt[f"shape.{name}"].tolist()) for name in leaves}
    bad = [name for name, leaf in leaves.items() if found[name] != tuple(leaf.shape)]
    return f"{bad[0]}: shape {found[bad[0]]}, expected {tuple(leaves[bad[0]].shape)}" if bad else ""


def _mergeable(problem: Problem, index: int, excerpt: Excerpt) -> str:
    """Merge tensors of the reported shapes: the streams must come out in the shapes of the inputs.

    What a core returns beside its tensors is taken from the definition at the layout's first row.
    """
    small = Problem(problem.variant, smallest(problem.case), problem.seed)
    mixed: Any = problem.variant.mix(small.operands(0).to(torch.float64))
    dtypes = {name: tensor.dtype for name, tensor in named(mixed.to(problem.rounded)).items()}
    trouble = _dtypes(excerpt, dtypes)
    if trouble:
        return trouble
    shapes = {name: excerpt[f"shape.{name}"].tolist() for name in dtypes}
    hollow = {name: torch.zeros((), dtype=one.dtype).expand(shapes[name]) for name, one in named(mixed).items()}
    whole = mixed.with_tensors(hollow) if isinstance(mixed, TensorRecord) else hollow["out"]
    made = problem.inputs(index)
    try:
        with torch.no_grad():
            merged = made.advance(problem.module.merge(whole, made)).tensors()
    except RuntimeError as error:
        return f"shapes {shapes} do not merge: {error}"
    bad = [name for name, tensor in made.tensors().items() if merged[name].shape != tensor.shape]
    return f"shapes {shapes} merge to {tuple(merged[bad[0]].shape)}" if bad else ""
