from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attnbench.execute.subject import Measurement
from attnbench.facts import Case
from attnbench.nouns import Status
from attnbench_impls.dense_softmax.multi_head import MultiHead
from attnbench_suites.accuracy.judge import accuracy, judge
from attnbench_suites.accuracy.streams import Split
from attnbench_suites.accuracy.tasks import TASKS

Planned = Callable[..., Case]

SEED = 11


@pytest.fixture(params=["mqar", "digits"])
def task(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def perfect(planned: Planned, task: str) -> Measurement:
    case = planned(task)
    splits = {"predictions": Split.TEST, "validation": Split.VALIDATION}
    answers = {name: TASKS[task].batch(case, split, SEED).labels.clone() for name, split in splits.items()}
    return Measurement(answers, {"loss": [2.0, 1.0]}, {"steps": 40, "tokens_per_s": 1.0, "parameters": 10})


def changed(measurement: Measurement, predictions: Tensor) -> Measurement:
    return replace(measurement, tensors={**measurement.tensors, "predictions": predictions})


def test_right_answers_score_one_and_keep_an_interval(planned: Planned, task: str) -> None:
    verdict = judge(MultiHead, planned(task), SEED, perfect(planned, task))
    assert verdict.status is Status.PASSED
    score = verdict.metrics["accuracy"]
    assert (score.value, score.high, score.unit) == (1.0, 1.0, "fraction")
    assert score.low is not None
    assert 0.98 < score.low < 1.0
    assert verdict.metrics["final_loss"].value == 1.0


def test_shuffled_answers_score_at_chance(planned: Planned, task: str) -> None:
    right = perfect(planned, task)
    labels = right.tensors["predictions"]
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    score = judge(MultiHead, planned(task), SEED, changed(right, labels[order])).metrics["accuracy"]
    chance = {"mqar": 1 / 32, "digits": 1 / 10}[task]
    assert score.low is not None
    assert score.high is not None
    assert score.low < chance < score.high


def test_answers_to_another_seed_are_not_right(planned: Planned) -> None:
    verdict = judge(MultiHead, planned("mqar"), SEED + 1, perfect(planned, "mqar"))
    assert verdict.metrics["accuracy"].value < 0.1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda labels: labels[:-1], "shape"),
        (lambda labels: labels.flatten(), "shape"),
        (lambda labels: labels.double(), "float64"),
        (lambda labels: labels - 1000, "outside"),
        (lambda labels: labels + 1000, "outside"),
    ],
)
def test_answers_out_of_form_are_wrong(planned: Planned, task: str, spoil, reason: str) -> None:  # type: ignore[no-untyped-def]  # a lambda
    right = perfect(planned, task)
    verdict = judge(MultiHead, planned(task), SEED, changed(right, spoil(right.tensors["predictions"])))
    assert verdict.status is Status.WRONG
    assert reason in verdict.reason
    assert not verdict.metrics


def test_missing_answers_are_wrong(planned: Planned, task: str) -> None:
    verdict = judge(MultiHead, planned(task), SEED, replace(perfect(planned, task), tensors={}))
    assert (verdict.status, verdict.reason) == (Status.WRONG, "predictions: missing")


@pytest.mark.parametrize(
    ("losses", "steps", "reason"),
    [([2.0, 2.0], 40, "did not go down"), ([2.0, 1.0], 39, "after 39 of 40"), ([], 0, "after 0")],
)
def test_a_training_that_led_nowhere_is_unconverged(
    planned: Planned, losses: list[float], steps: int, reason: str
) -> None:
    right = perfect(planned, "mqar")
    measured = replace(right, samples={"loss": losses}, numbers={**right.numbers, "steps": steps})
    verdict = judge(MultiHead, planned("mqar"), SEED, measured)
    assert verdict.status is Status.UNCONVERGED
    assert reason in verdict.reason


def test_the_interval_counts_sequences_not_answers() -> None:
    few, many = torch.zeros(100, 1, dtype=torch.long), torch.zeros(100, 64, dtype=torch.long)
    few[:50], many[:50] = 1, 1
    one, all_alike = accuracy(few, torch.ones_like(few)), accuracy(many, torch.ones_like(many))
    assert one == all_alike
    assert one.low == pytest.approx(0.4038, abs=1e-4)
    assert one.high == pytest.approx(0.5962, abs=1e-4)
