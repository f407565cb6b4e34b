import pytest

from attnbench.execute.subject import Subject
from attnbench.nouns import Profile
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa
from attnbench_suites.latency.cases import cases


@pytest.fixture
def case():
    """Find one case of multi_head by direction and profile."""

    def find(kind, profile=Profile.SMOKE):
        planned = cases(MultiHead.facts, sdpa.facts, "cpu", profile)
        return next(one for one in planned if one.kind == kind and one.profile is profile)

    return find


@pytest.fixture
def subject():
    """Put multi_head under test with some core."""

    def make(core=sdpa.mix):
        return Subject(MultiHead, MultiHead.facts, sdpa.facts, core, ())

    return make
