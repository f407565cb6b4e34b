from collections.abc import Callable

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attnbench.facts import Case
from attnbench.nouns import Profile
from attnbench_suites.accuracy.streams import Batch, Split
from attnbench_suites.accuracy.tasks import TASKS

Planned = Callable[..., Case]

MQAR, DIGITS = TASKS["mqar"], TASKS["digits"]
fixed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def draw_mqar(planned: Planned, pairs: int, extra: int, half: int, seed: int) -> Batch:
    case = planned("mqar", pairs=pairs, n=4 * pairs + 2 * extra, vocab=2 * half, batch=16)
    return MQAR.batch(case, Split.TRAIN, seed)


@fixed
@given(pairs=st.integers(1, 8), extra=st.integers(0, 20), half=st.integers(9, 40), seed=st.integers(0, 2**53 - 1))
def test_every_key_is_asked_once_and_its_value_is_the_label(
    planned: Planned, pairs: int, extra: int, half: int, seed: int
) -> None:
    batch = draw_mqar(planned, pairs, extra, half, seed)
    for row, asked, labels in zip(batch.x.tolist(), batch.asked.tolist(), batch.labels.tolist(), strict=True):
        memory = dict(zip(row[0 : 2 * pairs : 2], row[1 : 2 * pairs : 2], strict=True))
        assert len(memory) == len(set(memory.values())) == pairs
        assert all(1 <= key < half <= value < 2 * half for key, value in memory.items())
        assert sorted(row[place] for place in asked) == sorted(memory)
        assert [memory[row[place]] for place in asked] == labels
        assert all(place >= 2 * pairs and place % 2 == 0 for place in asked)
        assert sum(map(bool, row[2 * pairs :])) == pairs


def test_queries_come_early_as_often_as_the_power_law_says(planned: Planned) -> None:
    batch = MQAR.batch(planned("mqar", pairs=1, n=22), Split.TEST, 5)
    counts = ((batch.asked - 2) // 2).flatten().bincount(minlength=10).double()
    weights = torch.arange(1, 11, dtype=torch.float64) ** -0.99
    expected = len(batch.x) * weights / weights.sum()
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi squared with 9 degrees of freedom, p = 0.001


def test_the_place_of_a_query_does_not_depend_on_the_place_of_its_pair(planned: Planned) -> None:
    batch = MQAR.batch(planned("mqar", Profile.QUICK), Split.TEST, 3)
    mean, spread = batch.asked.double().mean(0), batch.asked.double().std()
    assert (mean - mean.mean()).abs().max() < 4 * spread / len(batch.x) ** 0.5


def test_streams_depend_on_split_seed_and_step_only(planned: Planned) -> None:
    case = planned("mqar")
    first = MQAR.batch(case, Split.TRAIN, 1, 0).x
    assert torch.equal(first, MQAR.batch(planned("mqar", lr=0.5), Split.TRAIN, 1, 0).x)
    others = [(case, 2, 0), (case, 1, 1), (planned("mqar", seed=1), 1, 0)]
    assert not any(torch.equal(first, MQAR.batch(one, Split.TRAIN, *rest).x) for one, *rest in others)
    assert not torch.equal(MQAR.batch(case, Split.TEST, 1).x, MQAR.batch(case, Split.VALIDATION, 1).x)


def test_digits_are_split_into_disjoint_parts(planned: Planned) -> None:
    case = planned("digits", batch=1200)
    parts = {split: DIGITS.batch(case, split, 0).x.flatten(1) for split in Split}
    assert [len(part) for part in parts.values()] == [1200, 200, 397]
    images = [tuple(row) for part in parts.values() for row in part.tolist()]
    assert len(set(images)) == 1797


def test_digits_draws_distinct_images_and_asks_every_pixel(planned: Planned) -> None:
    batch = DIGITS.batch(planned("digits"), Split.TRAIN, 0)
    assert len({tuple(row) for row in batch.x.flatten(1).tolist()}) == 64
    assert torch.equal(batch.asked, torch.arange(64).expand(64, 64))
    assert torch.equal(batch.labels, batch.labels[:, :1].expand(64, 64))
    assert batch.labels.unique().tolist() == list(range(10))
