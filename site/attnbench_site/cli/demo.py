"""`attnbench demo`: from nothing to a leaderboard of measured results, in a few minutes."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.rule import Rule

from attnbench.cli.list import report_broken
from attnbench.cli.options import Devices
from attnbench.cli.output import console, errors
from attnbench.cli.work import work
from attnbench.devices import select
from attnbench.execute.job import Job
from attnbench.facts import ImplementationFacts
from attnbench.nouns import Profile
from attnbench.plan import Plan, Wish, plan
from attnbench.registry.registry import Registry, load
from attnbench.store import Store
from attnbench_reports.board import boards
from attnbench_reports.outcomes import read
from attnbench_reports.terminal import render
from attnbench_site.generator import build

# What a newcomer looks for first, in this order. Names that are not built yet are passed over.
WELL_KNOWN = (
    "multi_head",
    "sliding_window",
    "gated_linear_attention",
    "multi_head_latent",
    "differential",
    "swin_window_attention",
    "coordinate_attention",
    "gat",
    "ltx2_av_cross_attention",
    "scattered_linear_attention",
    "chronos_group_attention",
    "grouped_query",
)
TRAINED = (
    ("mqar", ("multi_head", "sliding_window", "gated_linear_attention", "differential")),
    ("digits", ("multi_head", "sliding_window", "differential", "swin_window_attention")),
)


@dataclass(frozen=True)
class Act:
    """One suite's share of the demo.

    Attributes:
        seconds: after this time no further case is started, however many variants there are.
    """

    suite: str
    profile: Profile
    seconds: float


ACTS = (
    Act("correctness", Profile.SMOKE, 110.0),
    Act("latency", Profile.QUICK, 100.0),
    Act("accuracy", Profile.QUICK, 130.0),
)


def demo(
    device: Devices = None,
    out: Annotated[Path, typer.Option(help="Folder of the database and the site.")] = Path("build"),
) -> None:
    """Prove every built-in, time a dozen well-known variants, train a few, and build the board. Takes some six minutes.

    Example: [bold]attnbench demo --device cpu[/bold]
    """
    registry, devices = load(), select(device or [])
    database = out / "demo.db"
    with Store.open(database, gates=registry.gates) as store:
        for act in ACTS:
            console.print(Rule(f"{act.suite}: {registry.suite(act.suite).summary}", align="left"))
            wish = Wish(
                implementations=_ours(registry),
                suites=[act.suite],
                devices=devices,
                profile=act.profile,
                seed=secrets.randbits(52),
                present=store.identities(),
            )
            todo = _chosen(plan(registry, wish), act)
            done = work(todo, registry, act.suite, keep=store.ingest, seconds=act.seconds)
            if len(done) < todo.cases:
                late = f"{todo.cases - len(done)} cases were left out after {act.seconds:g} s"
                errors.print(f"{late}; `attnbench run` measures all", style="yellow", highlight=False)
        found = boards(read(store))
        pages = build(store, registry, out / "site")
    console.print(*render(found, brief=True), sep="\n", markup=False, highlight=False)
    report_broken(registry)
    console.print(
        f"\n{pages} pages. Open [bold]{(out / 'site/index.html').resolve()}[/bold]", highlight=False, soft_wrap=True
    )
    console.print(
        f"Everything, on every device: [bold]attnbench run --profile quick --db {database}[/bold]", highlight=False
    )


def _ours(registry: Registry) -> list[ImplementationFacts]:
    """List the implementations of the built-in variants, the well-known ones first."""
    ours = [one for one in registry.variants.values() if one.implementations[0].distribution.startswith("attnbench ")]
    fame = {slug: place for place, slug in enumerate(WELL_KNOWN)}
    ours.sort(key=lambda one: fame.get(one.slug, len(fame)))
    return [implementation for one in ours for implementation in one.implementations]


def _chosen(todo: Plan, act: Act) -> Plan:
    """Keep what fits the demo: all of correctness, the times of the well-known, two tasks for four variants."""
    keep = {"latency": _timed, "accuracy": _trained}.get(act.suite)
    return todo if keep is None else replace(todo, jobs=tuple(keep(todo.jobs)))


def _timed(jobs: Sequence[Job]) -> Iterator[Job]:
    """The well-known variants' implementations, each at its first quick workload."""
    for job in jobs:
        cases = tuple(case for case in job.cases if case.kind == "forward" and case.profile is Profile.QUICK)
        if job.variant in WELL_KNOWN and cases:
            yield job.model_copy(update={"cases": cases[:1]})


def _trained(jobs: Sequence[Job]) -> Iterator[Job]:
    """Four variants a task, each in the task's narrowest model: it separates them best, and soonest."""
    for job in jobs:
        cases = []
        for task, variants in TRAINED:
            sizes = [case for case in job.cases if case.kind == task and case.profile is Profile.QUICK]
            if job.variant in variants and sizes:
                cases.append(min(sizes, key=lambda case: str(case.shape["dim"])))
        if cases:
            yield job.model_copy(update={"cases": tuple(cases)})
