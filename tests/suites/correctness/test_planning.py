"""The cases: data that stays the same, for every variant there is."""

import pytest

from attnbench.nouns import Dtype, Pattern, Profile, Property
from attnbench.registry.registry import load
from attnbench_suites.correctness import SUITE

# What stored results are known by; a change here needs a new version of the suite.
PINNED = {
    "correctness.v1/forward/sequence/causal_self/float32/batch=2,dim=32,heads=4,n=17",
    "correctness.v1/gradients/sequence/causal_self/float32/batch=2,dim=32,heads=4,n=17/bias=True,value_head_dim=24",
    "correctness.v1/forward/sequence/causal_cross/float32/batch=2,context_dim=24,dim=32,heads=4,n=17,s=13/padding=True",
    "correctness.v1/reduction/sequence/causal_cross/float64/sizes=1x2x5/reduction=one_key",
    "correctness.v1/causal_weights/sequence/causal_self/float64/batch=2,dim=32,heads=4,n=17",
    "correctness.v1/decode/sequence/decode/float64/batch=2,dim=32,heads=4,n=17/prefill=6",
}


def ids(variant, implementation, profile=Profile.FULL, device="cpu"):
    return [case.id for case in SUITE.cases(variant, implementation, device, profile)]


@pytest.fixture(scope="module")
def everyone():
    return [(variant, one) for variant in load().variants.values() for one in variant.implementations]


def test_ids_are_stable():
    variant = load().variant("multi_head")
    assert set(ids(variant, variant.implementation("torch"), Profile.SMOKE)) >= PINNED


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_profiles_hold_each_other_and_ids_are_unique(device, everyone):
    for variant, one in everyone:
        smoke, quick, full = (ids(variant, one, profile, device) for profile in Profile)
        assert len(set(full)) == len(full), one.key
        assert set(smoke) <= set(quick) <= set(full), one.key
        assert smoke, one.key


def test_only_dtypes_patterns_and_layouts_that_were_declared(everyone):
    for variant, one in everyone:
        for case in SUITE.cases(variant, one, "cpu", Profile.FULL):
            assert case.dtype in one.dtypes | {Dtype.FLOAT32}
            assert case.pattern in variant.patterns
            assert case.layout == variant.layout


def test_every_promise_and_reduction_is_tested(everyone):
    for variant, one in everyone:
        cases = SUITE.cases(variant, one, "cpu", Profile.SMOKE)
        kinds = {case.kind for case in cases}
        assert {"forward", "gradients"} <= kinds
        assert ("decode" in kinds) == (Pattern.DECODE in variant.patterns)
        if Property.CAUSAL_WEIGHTS in variant.properties and Pattern.CAUSAL_SELF in variant.patterns:
            assert "causal_weights" in kinds
        if Dtype.FLOAT64 in one.dtypes:
            reductions = {case.options["reduction"] for case in cases if case.kind == "reduction"}
            assert reductions == {name for name, _ in variant.reductions}


def test_the_definition_alone_is_differentiated_numerically(everyone):
    for variant, one in everyone:
        kinds = {case.kind for case in SUITE.cases(variant, one, "cpu", Profile.QUICK)}
        assert ("gradcheck" in kinds) == one.is_reference


def test_a_gpu_is_tested_in_bfloat16_from_the_start():
    variant = load().variant("multi_head")
    one = variant.implementation("torch")
    dtypes = {
        device: {case.dtype for case in SUITE.cases(variant, one, device, Profile.SMOKE)} for device in ("cpu", "cuda")
    }
    assert Dtype.BFLOAT16 not in dtypes["cpu"]
    assert Dtype.BFLOAT16 in dtypes["cuda"]
