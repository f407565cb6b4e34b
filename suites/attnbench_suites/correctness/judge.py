"""The one judge of the correctness suite: recomputes a case with the definition in float64, and compares."""

import importlib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attnbench.contract import Attention, Property, Reduction
from attnbench.execute.subject import Measurement
from attnbench.facts import Case
from attnbench.suite import Metric, Verdict
from attnbench_suites.correctness.checks import CHECKS, Task, flat, full_run, reduction
from attnbench_suites.correctness.tolerance import Comparison, bound, compare

AGAINST_ITSELF = {Property.CAUSAL_WEIGHTS, Property.CAUSAL_SELECTION, Property.BATCH_INDEPENDENT}


def judge(variant: type[Attention[Any, Any, Any]], case: Case, seed: int, measured: Measurement) -> Verdict:
    """Say whether what the worker computed is what the definition says."""
    task = Task(variant, variant.mix, case, seed, torch.float64, getattr(torch, case.dtype))
    if case.kind == "gradcheck":
        return _gradcheck(task)
    expected = _expected(task)
    limit = bound(case.dtype, gradients=case.kind == "gradients")
    found = compare(measured.tensors, expected, limit, task.rounded)
    if not found.passed and found.error is not None and case.kind in {"forward", "gradients"}:
        limit = max(limit, 2 * _own_error(task, expected))
        found = compare(measured.tensors, expected, limit, task.rounded)
    if case.kind in AGAINST_ITSELF and found.passed:
        found = (
            _pairs(expected, 1e-12, "the definition itself") or _pairs(measured.tensors, limit, "the output") or found
        )
    metrics = {"bound": Metric(value=limit, unit="")}
    if found.error is not None:
        metrics["error"] = Metric(value=found.error, unit="")
    return Verdict.passed(**metrics) if found.passed else Verdict.wrong(found.reason, **metrics)


def _expected(task: Task) -> dict[str, Tensor]:
    case = task.case
    if case.kind == "reduction":
        return reduction(task, _declared(task))[1]
    if case.kind == "decode":
        return full_run(task)
    if case.kind == Property.ROWS_SUM_TO_ONE:
        return {name: (tensor != 0).to(tensor.dtype) for name, tensor in CHECKS[case.kind](task).items()}
    return CHECKS[case.kind](task)


def _own_error(task: Task, expected: Mapping[str, Tensor]) -> float:
    """Return the error of the definition itself, computed in the case's precision on the same operands.

    Some draws are ill-conditioned: the definition loses digits there too. Half precision counts as float32 inside.
    """
    inside = torch.float32 if task.rounded.itemsize < torch.float32.itemsize else task.rounded
    own = CHECKS[task.case.kind](replace(task, dtype=inside))
    rounded = {name: one.to(task.rounded) if one.is_floating_point() else one for name, one in own.items()}
    return compare(rounded, expected, math.inf).error or 0.0


def _declared(task: Task) -> Reduction:
    home = vars(importlib.import_module(task.variant.__module__)).values()
    name = task.case.options["reduction"]
    return next(one for one in home if isinstance(one, Reduction) and one.name == name)


def _pairs(tensors: Mapping[str, Tensor], limit: float, whose: str) -> Comparison | None:
    """Compare what was computed twice; None when each pair agrees."""
    for name in [one for one in tensors if one.startswith("first")]:
        other = name.replace("first", "second")
        found = compare({name: tensors[other]}, {name: tensors[name].double()}, limit)
        if not found.passed:
            return Comparison(False, found.error, f"{whose} changed with what it must not depend on: {found.reason}")
    return None


def _gradcheck(task: Task) -> Verdict:
    operands = task.operands()
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in operands.differentiable().items()}

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        mixed = flat(task.core(operands.with_tensors(dict(zip(leaves, values, strict=True)))))
        return tuple(tensor for tensor in mixed.values() if tensor.is_floating_point())

    try:
        torch.autograd.gradcheck(run, tuple(leaves.values()), eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=True)
    except RuntimeError as error:
        return Verdict.wrong(
            f"the definition's gradients are not those of its outputs: {' '.join(str(error).split())[:600]}"
        )
    return Verdict.passed()
