from collections.abc import Callable

import pytest

from attnbench.execute.subject import Subject
from attnbench.facts import Case
from attnbench.nouns import Profile
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa
from attnbench_suites.accuracy import cases

Planned = Callable[..., Case]


@pytest.fixture
def softmax() -> Subject:
    return Subject(MultiHead, MultiHead.facts, sdpa.facts, sdpa.mix, ())


@pytest.fixture
def planned() -> Planned:
    """Plan a task for softmax and return its first case at a profile, with options and extents changed."""

    def first(task: str, profile: Profile = Profile.SMOKE, **changed: float) -> Case:
        case = next(
            one
            for one in cases(MultiHead.facts, sdpa.facts, "cpu", profile)
            if one.kind == task and one.profile is profile
        )
        shape = case.shape | {key: value for key, value in changed.items() if key in case.shape}
        options = case.options | {key: value for key, value in changed.items() if key in case.options}
        assert set(changed) <= set(shape) | set(options)
        return case.model_copy(update={"shape": shape, "options": options})

    return first
