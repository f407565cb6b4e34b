from collections.abc import Callable

import pytest

from attnbench.errors import UserError
from attnbench.nouns import Status
from attnbench_reports.comparison import compare
from attnbench_reports.outcomes import Outcome

Make = Callable[..., Outcome]


def test_speedup_is_the_quotient_of_ratios_on_shared_workloads(make: Make) -> None:
    outcomes = [
        make("a/torch", n=64, ratio=(3.0, 2.9, 3.1)),
        make("a/torch", n=512, ratio=(3.0, 2.9, 3.1)),
        make("b/torch", n=512, ratio=(2.0, 1.9, 2.1)),
    ]
    (pair,) = compare(outcomes, "a/torch", "b/torch").pairs
    assert pair.speedup is not None
    assert pair.speedup.value == pytest.approx(1.5)
    assert "n=512" in pair.workload


def test_a_variant_stands_for_its_best_ranked_implementation(make: Make) -> None:
    outcomes = [
        make("a/wrong", ratio=(9.0, 8.9, 9.1), ranked=False),
        make("a/slow", ratio=(1.0, 0.9, 1.1)),
        make("a/fast", ratio=(2.0, 1.9, 2.1)),
        make("b/torch", ratio=(4.0, 3.9, 4.1)),
    ]
    (pair,) = compare(outcomes, "a", "b").pairs
    assert str(pair.left.contender) == "a/fast"


def test_unproved_sides_have_no_speedup(make: Make) -> None:
    outcomes = [make("a/torch", ratio=(9.0, 8.9, 9.1), ranked=False), make("b/torch", ratio=(1.0, 0.9, 1.1))]
    (pair,) = compare(outcomes, "a", "b").pairs
    assert pair.speedup is None


def test_correctness_of_both_sides_is_told(make: Make) -> None:
    case = {"suite": "correctness"}
    outcomes = [make("a/x", case=case), make("b/y", case=case, status=Status.WRONG), make("c/z", case=case)]
    found = compare(outcomes, "a", "b")
    assert [(one.key, one.badge) for _, one in found.standings] == [("a/x", "passed"), ("b/y", "failed")]
    assert found.pairs == ()


def test_an_unknown_name_gets_a_suggestion(make: Make) -> None:
    with pytest.raises(UserError, match="did you mean multi_head"):
        compare([make("multi_head/torch")], "multi_had", "multi_head")
