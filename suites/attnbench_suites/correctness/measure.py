"""What the worker does for a case of the correctness suite: run the implementation, hand over what it computed."""

import torch

from attnbench.execute.subject import Measurement, Subject
from attnbench.facts import Case
from attnbench_suites.correctness.checks import CHECKS, Task, reduction


def measure(subject: Subject, case: Case, seed: int, device: str) -> Measurement:
    """Compute one case with the implementation under test. Nothing is compared here."""
    dtype = getattr(torch, case.dtype)
    task = Task(subject.variant, subject.core, case, seed, dtype, dtype, device)
    if case.kind == "gradcheck":  # the judge differentiates the definition numerically
        return Measurement()
    if case.kind == "reduction":
        declared = next(one for one in subject.reductions if one.name == case.options["reduction"])
        got, _ = reduction(task, declared)
        return Measurement(tensors=got)
    return Measurement(tensors=CHECKS[case.kind](task))
