import subprocess
import sys

import pytest

from attnbench.facts import Case, VariantFacts
from attnbench.nouns import Dtype, Extra, Layout, Pattern, Profile
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa
from attnbench_suites.accuracy import SUITE, cases
from attnbench_suites.accuracy.sizes import PLANS
from attnbench_suites.accuracy.tasks import TASKS


def plan(profile: Profile, **changed: object) -> tuple[Case, ...]:
    return cases(MultiHead.facts.model_copy(update=changed), sdpa.facts, "cpu", profile)


def kinds(planned: tuple[Case, ...]) -> set[str]:
    return {case.kind for case in planned}


def test_planning_imports_no_torch() -> None:
    code = "import sys, attnbench_suites.accuracy as a; assert a.SUITE.cases; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_planned_task_can_be_trained() -> None:
    assert PLANS.keys() == TASKS.keys()


def test_a_profile_holds_those_below_it() -> None:
    smoke, quick, full = ({case.id for case in plan(profile)} for profile in Profile)
    assert smoke < quick < full


def test_ids_tell_cases_apart() -> None:
    ids = [case.id for case in plan(Profile.FULL)]
    assert len(ids) == len(set(ids))


def test_full_repeats_every_rate_and_seed() -> None:
    digits = [case for case in plan(Profile.FULL) if case.kind == "digits" and case.profile is Profile.FULL]
    assert {(case.options["lr"], case.options["seed"]) for case in digits} == {
        (rate, seed) for rate in (1e-3, 3e-3, 1e-2) for seed in range(3)
    }


def test_the_definition_is_not_trained() -> None:
    reference = sdpa.facts.model_copy(update={"name": "reference"})
    assert cases(MultiHead.facts, reference, "cpu", Profile.FULL) == ()


@pytest.mark.parametrize("changed", [{"devices": frozenset({"cuda"})}, {"dtypes": frozenset({Dtype.FLOAT16})}])
def test_an_implementation_that_cannot_train_here_is_not_planned(changed: dict[str, object]) -> None:
    assert cases(MultiHead.facts, sdpa.facts.model_copy(update=changed), "cpu", Profile.FULL) == ()


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"patterns": frozenset({Pattern.CAUSAL_SELF})}, {"mqar"}),
        ({"patterns": frozenset({Pattern.NONCAUSAL_SELF})}, {"digits"}),
        ({"patterns": frozenset({Pattern.NONCAUSAL_CROSS})}, set()),
        ({"layout": Layout.GRID2D}, {"digits"}),
        ({"layout": Layout.GRAPH}, set()),
        ({"requires": frozenset({Extra.TIMES})}, set()),
    ],
)
def test_a_task_is_posed_where_the_variant_can_take_it(changed: dict[str, object], expected: set[str]) -> None:
    assert kinds(plan(Profile.FULL, **changed)) == expected


def test_grids_see_the_pixels_as_a_grid() -> None:
    (case,) = plan(Profile.SMOKE, layout=Layout.GRID2D)
    assert (case.shape["height"], case.shape["width"]) == (8, 8)
    assert "n" not in case.shape


def test_every_set_of_hyperparameters_is_a_case() -> None:
    facts: VariantFacts = MultiHead.facts.model_copy(update={"settings": {SUITE.name: ({}, {"bias": True})}})
    settings = [case.settings for case in cases(facts, sdpa.facts, "cpu", Profile.SMOKE) if case.kind == "mqar"]
    assert settings == [{}, {"bias": True}]
