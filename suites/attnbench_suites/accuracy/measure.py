"""What the worker does with a case: train the variant, and predict the answers of the held-out streams."""

from collections.abc import Iterable
from typing import Any, cast

import torch

from attnbench.contract import Attention, Stack
from attnbench.execute.subject import Measurement, Subject
from attnbench.facts import Case, VariantFacts
from attnbench_suites import workloads
from attnbench_suites.accuracy.streams import Split, option, seed_of
from attnbench_suites.accuracy.tasks import TASKS
from attnbench_suites.accuracy.training import predict, train


def measure(subject: Subject, case: Case, seed: int, device: str) -> Measurement:
    """Train the variant's layers with the implementation as their core, initialised as the variant defines it.

    On the CPU, the same seed gives the same predictions.

    Raises:
        Unsupported: the implementation does not carry the task's operands.
    """
    torch.manual_seed(seed_of(case, seed, "initial"))
    mixers = workloads.build_stack(subject.variant, case, option(case, "layers"))
    for layer in cast("Iterable[Attention[Any, Any, Any]]", mixers.layers):
        layer.use(subject.core)
    return learn(mixers, subject.facts, case, seed, device)


def learn(mixers: Stack[Any], facts: VariantFacts, case: Case, seed: int, device: str) -> Measurement:
    """Train a backbone around any mixers, a variant's or a control's, and predict with it."""
    task = TASKS[case.kind]
    torch.manual_seed(seed_of(case, seed, "backbone"))
    model = task.backbone(case, facts, mixers).to(device)
    curve = train(model, task, case, seed, device)
    rows = workloads.integer(case, "batch")
    predictions = {
        name: predict(model, task.batch(case, split, seed), rows, device)
        for name, split in (("predictions", Split.TEST), ("validation", Split.VALIDATION))
    }
    return Measurement(
        tensors=predictions,
        samples={"loss": curve.loss},
        numbers={
            "steps": curve.steps,
            "tokens_per_s": curve.tokens / curve.seconds,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
        },
    )
