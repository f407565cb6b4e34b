from collections.abc import Callable
from typing import Any

import pytest

from attnbench.nouns import Dtype, Profile, Status
from attnbench.testing.records import DEVICES
from attnbench_reports.board import RULES, boards
from attnbench_reports.outcomes import Outcome, newest
from attnbench_reports.ranking import Ranking, rank

Make = Callable[..., Outcome]


def only(outcomes: list[Outcome], suite: str = "latency") -> Ranking:
    (ranking,) = rank(outcomes, RULES[suite])
    return ranking


def names(ranking: Ranking) -> list[tuple[str, str]]:
    return [(str(row.contender), str(row.place)) for row in ranking.ranked]


def test_ranks_and_ties_over_two_workloads(make: Make) -> None:
    ranking = only(
        [
            make("a/slow", n=512, ratio=(0.5, 0.49, 0.51)),
            make("a/slow", n=64, ratio=(0.5, 0.49, 0.51)),
            make("a/fast", n=512, ratio=(4.0, 3.9, 4.1)),
            make("a/fast", n=64, ratio=(1.0, 0.9, 1.1)),
            make("b/fast", n=512, ratio=(2.0, 1.9, 2.1)),
            make("b/fast", n=64, ratio=(2.1, 2.0, 2.2)),
        ]
    )
    assert ranking.workloads == ("n=64", "n=512")
    assert ranking.shared == "batch=1"
    assert names(ranking) == [("b/fast", "1–2"), ("a/fast", "1–2"), ("a/slow", "3")]
    fast = ranking.ranked[1].score
    assert fast is not None
    assert fast.value == pytest.approx(2.0)


def test_a_failure_is_listed_apart_and_not_averaged(make: Make) -> None:
    ranking = only(
        [
            make("a/torch", n=64, ratio=(9.0, 8.9, 9.1)),
            make("a/torch", n=512, status=Status.OUT_OF_HOST_MEMORY, reason="16 GiB were not enough"),
            make("b/torch", n=64, ratio=(1.0, 0.9, 1.1)),
            make("b/torch", n=512, ratio=(1.0, 0.9, 1.1)),
        ]
    )
    assert names(ranking) == [("b/torch", "1")]
    (row,) = ranking.unranked
    assert (row.covered, row.score) == (1, None)
    assert row.reason == "n=512: out_of_host_memory: 16 GiB were not enough"


def test_a_missing_workload_is_not_a_pass(make: Make) -> None:
    outcomes = [make("a/torch", n=n, ratio=(1.0, 0.9, 1.1)) for n in (64, 512)]
    ranking = only([*outcomes, make("b/torch", n=64, ratio=(5.0, 4.9, 5.1))])
    assert [row.reason for row in ranking.unranked] == ["n=512: not measured"]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"ratio": (5.0, 4.9, 5.1), "ranked": False}, "no passed correctness result"),
        ({"latency": (5.0, 4.9, 5.1)}, "no ratio was measured"),
        ({"ratio": (5.0, None, None)}, "ratio has no interval"),
        ({"status": Status.UNCONVERGED}, "unconverged"),
    ],
)
def test_what_cannot_be_ranked_says_why(make: Make, fields: dict[str, Any], why: str) -> None:
    ranking = only([make("a/torch", **fields), make("b/torch", ratio=(1.0, 0.9, 1.1))])
    assert names(ranking) == [("b/torch", "1")]
    assert ranking.unranked[0].reason.startswith(why)


def test_profiles_and_dtypes_never_mix(make: Make) -> None:
    outcomes = [
        make("a/torch", ratio=(1.0, 0.9, 1.1), case={"profile": profile, "dtype": dtype})
        for profile in (Profile.SMOKE, Profile.FULL)
        for dtype in (Dtype.FLOAT32, Dtype.BFLOAT16)
    ]
    groups = [(one.group.profile, one.group.dtype) for one in rank(outcomes, RULES["latency"])]
    assert groups == [
        (Profile.FULL, Dtype.BFLOAT16),
        (Profile.FULL, Dtype.FLOAT32),
        (Profile.SMOKE, Dtype.BFLOAT16),
        (Profile.SMOKE, Dtype.FLOAT32),
    ]


def test_settings_compete_as_contenders(make: Make) -> None:
    ranking = only(
        [
            make("a/torch", settings="window=64", ratio=(3.0, 2.9, 3.1), case={"settings": {"window": 64}}),
            make("a/torch", settings="window=8", ratio=(9.0, 8.9, 9.1), case={"settings": {"window": 8}}),
        ]
    )
    assert names(ranking) == [("a/torch (window=8)", "1"), ("a/torch (window=64)", "2")]


def test_the_learning_rate_is_chosen_on_validation_and_seeds_are_averaged(make: Make) -> None:
    def trained(lr: float, seed: int, accuracy: float, validation: float, **fields: Any) -> Outcome:
        case = {"suite": "accuracy", "kind": "mqar", "options": {"lr": lr, "seed": seed, "steps": 600}}
        scores = {"accuracy": (accuracy, 0.0, 1.0), "validation_accuracy": (validation, 0.0, 1.0)}
        return make("a/torch", case=case, **scores, **fields)

    ranking = only(
        [
            trained(1e-3, 0, 0.99, 0.50),
            trained(1e-3, 1, 0.99, 0.50),
            trained(3e-3, 0, 0.80, 0.90),
            trained(3e-3, 1, 0.82, 0.90),
            trained(1e-2, 0, 1.00, 1.00, status=Status.UNCONVERGED),
        ],
        "accuracy",
    )
    (row,) = ranking.ranked
    assert row.score is not None
    assert row.score.value == pytest.approx(0.81)
    assert ranking.shared == "batch=1, n=512, steps=600"


def test_standings_count_by_dtype_and_find_the_tightest_case(make: Make) -> None:
    def judged(status: Status, error: float, bound: float, dtype: Dtype = Dtype.FLOAT32) -> Outcome:
        scores = {"error": (error, None, None), "bound": (bound, None, None)}
        return make("a/torch", status=status, ranked=False, case={"suite": "correctness", "dtype": dtype}, **scores)

    (board,) = boards(
        [
            judged(Status.PASSED, 2e-6, 1e-5),
            judged(Status.PASSED, 5e-3, 1e-2, Dtype.BFLOAT16),
            judged(Status.WRONG, 5e-1, 1e-2),
            judged(Status.UNSUPPORTED, 0.0, 1.0),
            judged(Status.CRASHED, 0.0, 1.0),
        ]
    )
    (standing,) = board.standings
    assert standing.badge == "failed"
    assert standing.margin is not None
    assert standing.margin.error / standing.margin.bound == pytest.approx(0.5)
    counts = {dtype: (one.passed, one.failed, one.unsupported) for dtype, one in standing.tallies.items()}
    assert counts == {Dtype.FLOAT32: (1, 2, 1), Dtype.BFLOAT16: (1, 0, 0)}
    assert [one.status for one in standing.failures] == [Status.WRONG, Status.CRASHED]


def test_only_unsupported_is_no_pass(make: Make) -> None:
    (board,) = boards([make("a/torch", status=Status.UNSUPPORTED, case={"suite": "correctness"})])
    assert board.standings[0].badge == "unsupported"


def test_devices_have_boards_of_their_own_and_rankings_come_first(make: Make) -> None:
    outcomes = [
        make("a/torch", device=device, case={"suite": suite})
        for device in reversed(DEVICES)
        for suite in ("accuracy", "correctness")
    ]
    found = [(one.device.id, one.suite) for one in boards(outcomes)]
    assert found == [(device.id, suite) for device in DEVICES for suite in ("accuracy", "correctness")]


def test_the_newest_result_of_the_newest_suite_counts(make: Make) -> None:
    old, new = make("a/torch", later=1), make("a/torch", later=2)
    other_version = make("b/torch", later=0, case={"version": 2})
    assert newest([new, old]) == [new]
    assert newest([new, old, other_version]) == [other_version]
