from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from attnbench.execute.subject import Measurement, Subject
from attnbench.facts import Case
from attnbench.nouns import Profile, Status
from attnbench.suite import Verdict
from attnbench_suites.accuracy import controls
from attnbench_suites.accuracy.judge import judge
from attnbench_suites.accuracy.measure import learn, measure

Planned = Callable[..., Case]

SEED = 7


def accuracy(verdict: Verdict) -> float:
    return verdict.metrics["accuracy"].value


@pytest.mark.parametrize("task", ["mqar", "digits"])
def test_a_smoke_run_gives_the_same_predictions_twice(softmax: Subject, planned: Planned, task: str) -> None:
    case = planned(task, steps=12)
    first, second = measure(softmax, case, SEED, "cpu"), measure(softmax, case, SEED, "cpu")
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    assert first.samples == second.samples
    other = measure(softmax, case, SEED + 1, "cpu")
    assert other.samples != first.samples


@pytest.mark.parametrize("task", ["mqar", "digits"])
def test_a_smoke_run_passes(softmax: Subject, planned: Planned, task: str) -> None:
    case = planned(task)
    measurement = measure(softmax, case, SEED, "cpu")
    assert judge(softmax.variant, case, SEED, measurement).status is Status.PASSED
    assert len(measurement.samples["loss"]) == measurement.numbers["steps"] == 40


def test_a_core_that_yields_nan_ends_early_and_is_unconverged(softmax: Subject, planned: Planned) -> None:
    calls: list[int] = []

    def broken(operands):  # type: ignore[no-untyped-def]  # the softmax family's operands
        calls.append(0)
        return softmax.core(operands) * (float("nan") if len(calls) > 10 else 1.0)

    case = planned("mqar")
    measurement = measure(replace(softmax, core=broken), case, SEED, "cpu")
    verdict = judge(softmax.variant, case, SEED, measurement)
    assert verdict.status is Status.UNCONVERGED
    assert verdict.reason == "the loss stopped being finite after 5 of 40 steps"
    assert len(measurement.samples["loss"]) == 5


def test_recall_needs_a_mixer_and_softmax_learns_it(softmax: Subject, planned: Planned) -> None:
    case = planned("mqar", Profile.QUICK, steps=350)
    verdict = judge(softmax.variant, case, SEED, measure(softmax, case, SEED, "cpu"))
    assert accuracy(verdict) > 0.9
    nothing = judge(softmax.variant, case, SEED, without_mixer(softmax, planned, "mqar"))
    assert accuracy(nothing) < 0.02  # one of 128 values is .008


def test_digits_need_a_mixer_and_softmax_learns_them(softmax: Subject, planned: Planned) -> None:
    case = planned("digits", Profile.QUICK, steps=250)
    verdict = judge(softmax.variant, case, SEED, measure(softmax, case, SEED, "cpu"))
    nothing = judge(softmax.variant, case, SEED, without_mixer(softmax, planned, "digits"))
    assert accuracy(nothing) < 0.25
    assert accuracy(verdict) > 0.6


def without_mixer(softmax: Subject, planned: Planned, task: str) -> Measurement:
    case = planned(task, Profile.QUICK, steps=150)
    return learn(controls.none(2), softmax.facts, case, SEED, "cpu")
