"""The judge, on results that are kept without timing anything."""

from itertools import product

import pytest
import torch

from attnbench.execute.subject import Measurement
from attnbench.nouns import Profile, Status
from attnbench_impls.dense_softmax.multi_head import MultiHead, matmul
from attnbench_suites.latency.judge import blocks, judge
from attnbench_suites.latency.problem import KEPT_VALUES, Problem
from attnbench_suites.latency.work import work

SEED = 77
STEADY = {"implementation_s": [1e-3] * 12, "baseline_s": [2e-3] * 12, "block_index": [i // 2 for i in range(12)]}
LARGE_AND_SMALL = list(product(("forward", "backward", "decode"), (Profile.SMOKE, Profile.QUICK)))


def kept(case, core=matmul.mix, change=lambda index, results: results, sets=(0, 2)):
    """Keep the results of two sets, as a worker does, after some change."""
    problem = Problem(MultiHead, case, SEED)
    tensors = {}
    for index in sets:
        made = work(problem, core, problem.operands(index), index)
        excerpt = problem.excerpt(change(index, made.named(made.call())))
        tensors |= {f"{index}.{name}": tensor for name, tensor in excerpt.items()}
    return tensors


def verdict(case, tensors, **samples):
    return judge(MultiHead, case, SEED, Measurement(tensors=tensors, samples=STEADY | samples))


@pytest.mark.parametrize(("kind", "profile"), LARGE_AND_SMALL)
def test_right_results_pass_with_the_ratio_of_their_times(kind, profile, case):
    found = verdict(case(kind, profile), kept(case(kind, profile)))
    assert (found.status, found.reason) == (Status.PASSED, "")
    assert (found.metrics["latency"].value, found.metrics["ratio"].value) == (1e-3, 2.0)


@pytest.mark.parametrize(("kind", "profile"), LARGE_AND_SMALL)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_wrong(kind, profile, value, case):
    def spoil(_, results):
        return {name: tensor.detach().clone().fill_(value) for name, tensor in results.items()}

    found = verdict(case(kind, profile), kept(case(kind, profile), change=spoil))
    assert found.status is Status.WRONG
    assert "finite" in found.reason


@pytest.mark.parametrize(("kind", "profile"), LARGE_AND_SMALL)
def test_a_wrong_shape_is_wrong(kind, profile, case):
    def cut(_, results):
        return {name: tensor[..., :-1] for name, tensor in results.items()}

    found = verdict(case(kind, profile), kept(case(kind, profile), change=cut))
    assert found.status is Status.WRONG
    assert "shape" in found.reason


@pytest.mark.parametrize(("kind", "profile"), LARGE_AND_SMALL)
def test_a_wrong_dtype_is_wrong(kind, profile, case):
    def coarse(_, results):
        return {name: tensor.to(torch.bfloat16) for name, tensor in results.items()}

    found = verdict(case(kind, profile), kept(case(kind, profile), change=coarse))
    assert found.status is Status.WRONG
    assert "bfloat16" in found.reason


@pytest.mark.parametrize("profile", [Profile.SMOKE, Profile.QUICK])
def test_a_stale_result_is_wrong(profile, case):
    one = case("forward", profile)
    fresh = kept(one, sets=(0,))
    stale = fresh | {name.replace("0.", "2.", 1): tensor for name, tensor in fresh.items()}
    assert verdict(one, stale).status is Status.WRONG


def test_results_of_other_inputs_are_wrong_at_the_smallest_size(case):
    shifted = {name.replace("3.", "2.", 1): tensor for name, tensor in kept(case("forward"), sets=(3,)).items()}
    found = verdict(case("forward"), shifted)
    assert found.status is Status.WRONG
    assert "relative error" in found.reason


def test_a_result_under_another_name_is_wrong(case):
    named = kept(case("forward"), change=lambda _, results: {"guess": results["out"]})
    assert verdict(case("forward"), named).status is Status.WRONG


def test_without_kept_results_nothing_is_right(case):
    found = verdict(case("forward"), {})
    assert (found.status, found.reason) == (Status.WRONG, "no result of a timed call was kept")


def test_times_that_scatter_are_unconverged_and_shown(case):
    scattered = [1e-3 * (1 + i) for i in range(12)]
    found = verdict(case("forward"), kept(case("forward")), implementation_s=scattered)
    assert found.status is Status.UNCONVERGED
    assert "6 blocks" in found.reason
    assert found.metrics["ratio"].high > 1.5 * found.metrics["ratio"].low


@pytest.mark.parametrize("time", [0.0, -1.0, float("nan")])
def test_a_call_that_took_no_time_is_impossible(time, case):
    found = verdict(case("forward"), kept(case("forward")), implementation_s=[time] * 12)
    assert found.status is Status.IMPOSSIBLE


def test_samples_are_divided_into_their_blocks():
    samples = {"block_index": [0.0, 0.0, 1.0, 2.0], "implementation_s": [5.0, 6.0, 7.0, 8.0]}
    assert blocks(samples, "implementation_s") == [[5.0, 6.0], [7.0], [8.0]]


def test_of_large_results_the_same_rows_are_kept_by_both_sides(case):
    problem, again = (Problem(MultiHead, case("forward"), SEED) for _ in range(2))
    large = torch.arange(2.0 * KEPT_VALUES).reshape(4, -1, 64)
    rows = problem.excerpt({"out": large})["rows.out"]
    assert rows.shape == (KEPT_VALUES // 64, 64)
    assert torch.equal(rows, again.excerpt({"out": large})["rows.out"])
    assert not torch.equal(rows, large.reshape(-1, 64)[: len(rows)])
