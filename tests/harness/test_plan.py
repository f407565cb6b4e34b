"""Plans: what is run, in which order, and what is left out because it is there."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench import environment
from attnbench.errors import UserError
from attnbench.execute.job import Job
from attnbench.facts import ImplementationFacts, Paper, VariantFacts
from attnbench.nouns import Dtype, Fidelity, Layout, Pattern, Profile, Status
from attnbench.plan import PRESENT, Wish, plan, targets
from attnbench.record import identity
from attnbench.registry.registry import Registry
from attnbench.suite import Suite
from attnbench.testing.records import DEVICES, make_case

CPU, CUDA = DEVICES
EVERYTHING = {"seed": 0, "profile": Profile.QUICK, "suites": (), "devices": (CPU,)}


def implementation(variant: str, name: str, line: int = 1, **fields) -> ImplementationFacts:
    made = {"module": "made_up", "line": line, "plugin": variant, "distribution": "attnbench 0", "summary": "Made up."}
    facts = {"devices": {"cpu", "cuda"}, "dtypes": set(Dtype), "source_hash": "0" * 64}
    return ImplementationFacts(variant=variant, name=name, **made | facts | fields)


def variant(slug: str, *implementations: ImplementationFacts, **fields) -> VariantFacts:
    made = {
        "summary": "Made up.",
        "description": "",
        "paper": Paper(title="Made up", year=2020),
        "family": "linear",
        "layout": Layout.SEQUENCE,
        "patterns": {Pattern.CAUSAL_SELF},
        "fidelity": Fidelity.KNOWN_WELL,
        "mechanisms": (slug,),
        "hyperparameters": {},
        "properties": (),
        "requires": (),
        "accepts": (),
        "settings": {},
        "reductions": (),
        "claims": (),
        "module": "made_up",
        "plugin": slug,
    }
    return VariantFacts(slug=slug, implementations=implementations, **made | fields)


def suite(name: str, count: int = 2, **fields) -> Suite:
    planned = tuple(make_case(suite=name, shape={"n": n}, dtype=Dtype.FLOAT32) for n in range(count))
    made = {"version": 1, "summary": "Made up.", "measure": "a:b", "judge": "a:b"}
    return Suite(name=name, cases=lambda *_: planned, **made | fields)


@pytest.fixture
def registry() -> Registry:
    variants = (
        variant("alpha", implementation("alpha", "reference"), implementation("alpha", "fast", 9)),
        variant(
            "multi_head",
            implementation("multi_head", "reference"),
            implementation("multi_head", "aaa", 30),
            implementation("multi_head", "zzz", 20, devices={"cuda"}),
            implementation("multi_head", "first", 10, mechanism="mla_absorbed"),
        ),
    )
    suites = (suite("accuracy", per_variant=True), suite("correctness", gates=True), suite("latency", exclusive=True))
    return Registry({one.slug: one for one in variants}, {one.name: one for one in suites}, ())


def wish(registry: Registry, names: Iterable[str] = (), **fields) -> Wish:
    return Wish(implementations=targets(registry, list(names)), **EVERYTHING | fields)


def stored(jobs: Iterable[Job], status: Status, **changed) -> dict[str, Status]:
    """The identities of all results of jobs, as a store would give them."""
    software = changed.get("environment", environment.current())
    return {
        identity(
            f"{job.variant}/{job.implementation}",
            changed.get("source_hash", job.source_hash),
            case,
            changed.get("device", job.device),
            software,
        ): status
        for job in jobs
        for case in job.cases
    }


def names(jobs: Iterable[Job]) -> list[str]:
    return [f"{job.suite} {job.variant}/{job.implementation}" for job in jobs]


def test_gating_suites_come_first_then_those_that_are_timed(registry):
    found = plan(registry, wish(registry, ["alpha"]))
    assert names(found.jobs) == [
        "correctness alpha/reference",
        "correctness alpha/fast",
        "latency alpha/reference",
        "latency alpha/fast",
        "accuracy alpha/fast",
    ]
    assert found.cases == 10
    assert not found.skipped


def test_one_implementation_speaks_for_a_variant_its_author_s_first(registry):
    asked = ["multi_head/aaa", "alpha", "multi_head/first", "multi_head/reference"]
    found = plan(registry, wish(registry, asked, suites=["accuracy"]))
    assert names(found.jobs) == ["accuracy multi_head/first", "accuracy alpha/fast"]


def test_implementations_run_where_they_can(registry):
    found = plan(registry, wish(registry, ["multi_head"], suites=["correctness"], devices=(CPU, CUDA)))
    where = {job.device.kind: [] for job in found.jobs}
    for job in found.jobs:
        where[job.device.kind].append(job.implementation)
    assert where == {"cpu": ["reference", "aaa", "first"], "cuda": ["reference", "aaa", "zzz", "first"]}


def test_timed_jobs_get_all_threads(registry):
    threads = {job.suite: job.threads for job in plan(registry, wish(registry, ["alpha"])).jobs}
    assert threads == {"correctness": 1, "latency": CPU.threads, "accuracy": 1}


def test_what_is_there_is_left_out(registry):
    everything = plan(registry, wish(registry))
    present = stored(everything.jobs, Status.PASSED)
    again = plan(registry, wish(registry, present=present))
    assert not again.jobs
    assert {one.reason for one in again.skipped} == {PRESENT}
    assert sum(one.cases for one in again.skipped) == everything.cases == len(present)


def test_a_job_goes_on_where_it_ended(registry):
    (job,) = plan(registry, wish(registry, ["alpha/fast"], suites=["latency"])).jobs
    half = stored([job.model_copy(update={"cases": job.cases[:1]})], Status.PASSED)
    (left,) = plan(registry, wish(registry, ["alpha/fast"], suites=["latency"], present=half)).jobs
    assert left.cases == job.cases[1:]


@pytest.mark.parametrize(
    "changed",
    [
        {"source_hash": "1" * 64},
        {"device": CUDA},
        {"environment": environment.current().model_copy(update={"python": "3.99"})},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_sources_devices_and_software_are_other_results(changed, registry):
    (job,) = plan(registry, wish(registry, ["alpha/fast"], suites=["latency"])).jobs
    present = stored([job], Status.PASSED, **changed)
    assert plan(registry, wish(registry, ["alpha/fast"], suites=["latency"], present=present)).cases == len(job.cases)


RULES = {
    "default": ({}, {Status.HARNESS_ERROR}),
    "retry": ({"retry": set(Status) - {Status.PASSED}}, set(Status) - {Status.PASSED}),
    "again": ({"retry": set(Status)}, set(Status)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("status", Status)
def test_what_is_tried_again(rule, status, registry):
    options, tried = RULES[rule]
    (job,) = plan(registry, wish(registry, ["alpha/fast"], suites=["latency"])).jobs
    present = stored([job], status)
    found = plan(registry, wish(registry, ["alpha/fast"], suites=["latency"], present=present, **options))
    assert bool(found.jobs) == (status in tried)


def test_a_single_case(registry):
    (job,) = plan(registry, wish(registry, ["alpha/fast"], suites=["latency"])).jobs
    chosen = job.cases[1].id
    found = plan(registry, wish(registry, ["alpha/fast"], case=chosen))
    assert [case.id for one in found.jobs for case in one.cases] == [chosen]
    done = plan(registry, wish(registry, ["alpha/fast"], case=chosen, present=stored([job], Status.PASSED)))
    assert not done.jobs
    with pytest.raises(UserError, match=r"no case 'latency\.v9' at profile quick"):
        plan(registry, wish(registry, ["alpha/fast"], case="latency.v9"))


def test_an_unknown_suite(registry):
    with pytest.raises(UserError, match="unknown suite 'latenzy': did you mean latency"):
        plan(registry, wish(registry, suites=["latenzy"]))


def keys(found: Iterable[ImplementationFacts]) -> list[str]:
    return [one.key for one in found]


def test_names_of_variants_implementations_and_mechanisms(registry):
    assert keys(targets(registry, ["alpha/fast"])) == ["alpha/fast"]
    assert keys(targets(registry, ["mla_absorbed"])) == ["multi_head/first"]
    assert keys(targets(registry, ["alpha", "alpha/fast"])) == ["alpha/reference", "alpha/fast"]
    assert len(targets(registry, [])) == 6
    assert keys(targets(registry, [], "fast")) == ["alpha/fast"]


@pytest.mark.parametrize(
    ("asked", "only", "words"),
    [
        (["alfa"], None, "unknown variant 'alfa': did you mean alpha"),
        (["alpha/fats"], None, "unknown implementation of alpha 'fats': did you mean fast"),
        (["alpha"], "aaa", "unknown implementation of alpha 'aaa': known: fast, reference"),
        ([], "nothing", "no variant has an implementation 'nothing'"),
    ],
)
def test_names_that_nothing_carries(asked, only, words, registry):
    with pytest.raises(UserError, match=words):
        targets(registry, asked, only)


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1))
def test_the_seed_of_a_case_follows_from_the_run_s_and_its_id(first, second):
    cases = [make_case(suite="latency", shape={"n": n}) for n in (1, 2)]

    def seeds(seed: int) -> list[int]:
        job = Job(
            variant="alpha",
            implementation="fast",
            source_hash="",
            suite="latency",
            device=CPU,
            threads=1,
            seed=seed,
            cases=tuple(cases),
        )
        return [job.case_seed(case) for case in cases]

    assert seeds(first) == seeds(first)
    assert len(set(seeds(first))) == 2
    assert (seeds(first) == seeds(second)) == (first == second)
    assert all(0 <= seed < 2**53 for seed in seeds(first))
