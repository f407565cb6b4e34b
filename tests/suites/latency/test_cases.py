import subprocess
import sys

import pytest

from attnbench.contract import Draw
from attnbench.nouns import Dtype, Layout, Pattern, Profile
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa
from attnbench_suites import workloads
from attnbench_suites.latency.baselines import BASELINES
from attnbench_suites.latency.cases import ROWS, cases, smallest

SELF = frozenset({Pattern.NONCAUSAL_SELF})


def variant(**changed):
    return MultiHead.facts.model_copy(update=changed)


def planned(device="cpu", profile=Profile.QUICK, facts=MultiHead.facts, **changed):
    return cases(facts, sdpa.facts.model_copy(update=changed), device, profile)


def ids(found):
    return {case.id for case in found}


def test_planning_imports_no_torch():
    code = "import sys, attnbench_suites.latency; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_ids_are_unique_and_say_what_is_timed():
    found = planned("cuda", Profile.FULL)
    assert len(ids(found)) == len(found)
    assert "latency.v1/decode/sequence/decode/float32/batch=1,dim=32,heads=2,n=32/baseline=sdpa" in ids(found)


def test_a_profile_covers_those_below_it():
    smoke, quick, full = (ids(planned("cuda", profile)) for profile in Profile)
    assert smoke < quick < full
    assert ids(planned("cpu", Profile.FULL)) == ids(planned("cpu", Profile.QUICK))


def test_dtypes_are_those_of_the_device_that_the_implementation_declares():
    assert {case.dtype for case in planned("cpu")} == {Dtype.FLOAT32}
    assert {case.dtype for case in planned("cuda")} == {Dtype.FLOAT32, Dtype.BFLOAT16}
    assert {case.dtype for case in planned("cuda", dtypes=frozenset({Dtype.BFLOAT16}))} == {Dtype.BFLOAT16}
    assert planned("cpu", dtypes=frozenset({Dtype.FLOAT64})) == ()


def test_nothing_is_planned_on_a_device_that_is_not_declared():
    assert planned("cpu", devices=frozenset({"cuda"})) == ()


def test_definitions_are_timed_at_the_smallest_size_only():
    found = planned(profile=Profile.FULL, name="reference")
    assert {case.profile for case in found} == {Profile.SMOKE}
    assert {case.kind for case in found} == {"forward", "backward", "decode"}


def test_forward_runs_in_every_self_attention_and_backward_in_the_causal_one():
    found = planned()
    assert {case.pattern for case in found if case.kind == "forward"} == {Pattern.CAUSAL_SELF, Pattern.NONCAUSAL_SELF}
    assert {case.pattern for case in found if case.kind == "backward"} == {Pattern.CAUSAL_SELF}
    assert {case.pattern for case in found if case.kind == "decode"} == {Pattern.DECODE}


def test_without_a_decode_pattern_nothing_is_decoded():
    assert {case.kind for case in planned(facts=variant(patterns=SELF))} == {"forward", "backward"}


def test_a_variant_of_cross_attention_only_is_given_a_source():
    found = planned(facts=variant(patterns=frozenset({Pattern.NONCAUSAL_CROSS})))
    assert found
    assert all(case.shape["s"] == case.shape["n"] and case.shape["context_dim"] == case.shape["dim"] for case in found)


def test_settings_of_the_suite_multiply_the_cases():
    twice = variant(settings={"latency": ({"bias": True}, {"bias": False})})
    assert len(planned(facts=twice)) == 2 * len(planned())


@pytest.mark.parametrize("layout", Layout)
def test_every_layout_has_a_smoke_row_first_and_inputs_and_a_baseline_of_its_tokens(layout):
    assert [row.profile for row in ROWS[layout]] == sorted(
        (row.profile for row in ROWS[layout]), key=list(Profile).index
    )
    facts = variant(layout=layout, patterns=SELF)
    found = planned(facts=facts)
    assert {case.profile for case in found} == {Profile.SMOKE, Profile.QUICK}
    first = found[0]
    assert workloads.inputs(first, facts, Draw(1)).LAYOUT in (layout, Layout.GRID2D)
    baseline = BASELINES[first.options["baseline"]]
    operands = baseline.operands(first, Draw(1))
    assert baseline.core(operands).shape == next(iter(operands.tensors().values())).shape


TOKENS = {
    Layout.SEQUENCE: (1, 2, 32, 16),
    Layout.GRID2D: (1, 2, 196, 16),
    Layout.GRID3D: (1, 2, 196, 16),
    Layout.RAGGED: (1, 2, 32, 16),
    Layout.TWO_STREAM: (1, 2, 32, 16),
    Layout.SET: (1, 2, 32, 16),
    Layout.GRAPH: (1, 2, 32, 16),
}


@pytest.mark.parametrize("layout", TOKENS)
def test_the_dense_baseline_attends_to_all_tokens(layout):
    case = planned(facts=variant(layout=layout, patterns=SELF))[0]
    assert BASELINES["sdpa"].operands(case, Draw(1)).q.shape == TOKENS[layout]


def test_the_baseline_of_decoding_is_one_query_over_the_whole_cache():
    case = next(case for case in planned() if case.kind == "decode")
    operands = BASELINES["sdpa"].operands(case, Draw(1))
    assert (operands.q.shape[2], operands.k.shape[2], operands.causal) == (1, 32, False)


def test_the_smallest_case_differs_in_size_only():
    large = next(case for case in planned() if case.profile is Profile.QUICK)
    small = smallest(large)
    assert small.id in ids(planned(profile=Profile.SMOKE))
    assert (small.kind, small.pattern, small.dtype) == (large.kind, large.pattern, large.dtype)
