"""What the judge does with a case: make the answers again from the seed, and count. It never sees the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor

from attnbench.contract import Attention
from attnbench.execute.subject import Measurement
from attnbench.facts import Case
from attnbench.nouns import Status
from attnbench.suite import Metric, Verdict
from attnbench_suites.accuracy.streams import Split, option
from attnbench_suites.accuracy.tasks import TASKS

SCORES = {"accuracy": ("predictions", Split.TEST), "validation_accuracy": ("validation", Split.VALIDATION)}
"""Metric -> the tensor that it is computed from, and the stream that holds its answers."""


def judge(variant: type[Attention[Any, Any, Any]], case: Case, seed: int, measurement: Measurement) -> Verdict:  # noqa: ARG001 - the answers are the same for all variants
    """Score the predictions; a model that learned nothing is `unconverged`, predictions out of form are `wrong`."""
    metrics: dict[str, Metric] = {}
    for name, (tensor, split) in SCORES.items():
        labels = TASKS[case.kind].batch(case, split, seed).labels
        predictions = measurement.tensors.get(tensor)
        fault = _fault(predictions, labels, TASKS[case.kind].classes(case))
        if predictions is None or fault:
            return Verdict.wrong(f"{tensor}: {fault}")
        metrics[name] = accuracy(predictions, labels)
    losses = measurement.samples.get("loss", [])
    if losses:
        metrics["final_loss"] = Metric(value=losses[-1], unit="nats")
    metrics["parameters"] = Metric(value=measurement.numbers["parameters"], unit="count")
    reason = _stagnation(losses, measurement.numbers, option(case, "steps"))
    return Verdict(status=Status.UNCONVERGED if reason else Status.PASSED, reason=reason, metrics=metrics)


def accuracy(predictions: Tensor, labels: Tensor) -> Metric:
    """Return the share of right answers, with Wilson's 95 % interval over sequences.

    The answers of one sequence depend on each other, so that sequences are what is counted. A sequence's share of
    right answers varies at most as much as a coin of the same mean, which keeps the interval on the safe side; and
    unlike a t-interval it has a width where every answer is right. It says nothing of the spread over seeds.
    """
    shares = (predictions == labels).double().mean(1)
    interval = binomtest(round(shares.sum().item()), len(shares)).proportion_ci(0.95, "wilson")
    value = shares.mean().item()
    return Metric(value=value, unit="fraction", low=min(interval.low, value), high=max(interval.high, value))


def _fault(predictions: Tensor | None, labels: Tensor, classes: int) -> str:
    """Say what is wrong with the form of predictions, or nothing."""
    if predictions is None:
        return "missing"
    if predictions.shape != labels.shape:
        return f"shape {tuple(predictions.shape)}, expected {tuple(labels.shape)}"
    if predictions.dtype is not torch.int64:
        return f"{predictions.dtype}, expected torch.int64"
    if not bool(((predictions >= 0) & (predictions < classes)).all()):
        return f"answers outside of 0 to {classes - 1}"
    return ""


def _stagnation(losses: Sequence[float], numbers: Mapping[str, float], steps: int) -> str:
    """Say why a training counts for nothing, or nothing."""
    if numbers["steps"] < steps:
        return f"the loss stopped being finite after {numbers['steps']:.0f} of {steps} steps"
    if losses[-1] >= losses[0]:
        return f"the loss did not go down: {losses[0]:.4g} at the start, {losses[-1]:.4g} at the end"
    return ""
