"""`attnbench run`: measure, judge, store."""

import secrets
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table

from attnbench.cli.list import report_broken
from attnbench.cli.options import Database, Devices, Json, Profiled, Seed
from attnbench.cli.output import console, emit, errors, statuses
from attnbench.cli.work import FINE, work
from attnbench.devices import select
from attnbench.errors import UserError
from attnbench.nouns import Profile, Status
from attnbench.plan import Plan, Wish, plan, targets
from attnbench.record import Record
from attnbench.registry.registry import load
from attnbench.store.database import Store
from attnbench.store.location import default_path

Variants = Annotated[
    list[str] | None,
    typer.Option("--variant", "-v", help="A variant, `variant/implementation` or mechanism. Repeat; all by default."),
]
Suites = Annotated[list[str] | None, typer.Option("--suite", "-s", help="A suite. Repeat for several; all by default.")]
Only = Annotated[str | None, typer.Option("--implementation", "-i", help="Only implementations of this name.")]
Retry = Annotated[bool, typer.Option("--retry", help="Measure again what is there and did not pass.")]
Again = Annotated[bool, typer.Option("--again", help="Measure again whatever is there; the newer result counts.")]
Dry = Annotated[bool, typer.Option("--plan", help="Say what would run, and stop.")]


def run(
    variant: Variants = None,
    *,
    implementation: Only = None,
    suite: Suites = None,
    device: Devices = None,
    profile: Profiled = Profile.QUICK,
    db: Database = None,
    seed: Seed = None,
    retry: Retry = False,
    again: Again = False,
    dry: Dry = False,
    json: Json = False,
) -> None:
    """Run suites and store every result as soon as it is judged. Killed at any moment, it goes on when run again.

    Example: [bold]attnbench run --variant sliding_window --suite latency --device cpu[/bold]
    """
    if retry and again:
        raise UserError("--again runs everything again, --retry only what did not pass: give one of them")
    registry = load()
    chosen = targets(registry, variant or [], implementation)
    devices = select(device or [])
    with Store.open(db or default_path(), gates=registry.gates) as store:
        wish = Wish(
            implementations=chosen,
            suites=suite or [],
            devices=devices,
            profile=profile,
            seed=secrets.randbits(52) if seed is None else seed,
            present=store.identities(),
            retry=set(Status) if again else set(Status) - {Status.PASSED} if retry else {Status.HARNESS_ERROR},
        )
        todo = plan(registry, wish)
        describe(todo)
        if dry:
            if json:
                emit({"jobs": [job.model_dump(mode="json") for job in todo.jobs], "skipped": todo.skipped})
            return
        records = work(todo, registry, "running", keep=store.ingest)
    if json:
        emit([record.id for record in records])
    else:
        _print(records)
        report_broken(registry)
        errors.print("Look at them with `attnbench report`, or `attnbench site build`.", highlight=False)


def describe(todo: Plan) -> None:
    """Say what a plan will do and what it leaves out, on standard error."""
    counts = Counter((job.suite, job.device.id) for job in todo.jobs)
    cases = Counter[tuple[str, str]]()
    for job in todo.jobs:
        cases[job.suite, job.device.id] += len(job.cases)
    for (suite, device), jobs in counts.items():
        errors.print(f"{suite} on {device}: {cases[suite, device]} cases of {jobs} implementations", highlight=False)
    left_out = Counter[str]()
    for skip in todo.skipped:
        left_out[skip.reason] += skip.cases
    for reason, count in left_out.items():
        errors.print(f"{count} cases skipped: {reason}", style="dim", highlight=False)
    if not todo.jobs:
        errors.print("nothing left to run")


def _print(records: list[Record]) -> None:
    table = Table(header_style="bold")
    for heading in ("suite", "device", "results"):
        table.add_column(heading)
    counts: dict[tuple[str, str], Counter[Status]] = {}
    for record in records:
        counts.setdefault((record.case.suite, record.device.id), Counter())[record.status] += 1
    for (suite, device), found in sorted(counts.items()):
        table.add_row(suite, device, statuses(sorted(found.items())))
    console.print(table)
    for record in records:
        if record.status not in FINE:
            where = f"{record.variant}/{record.implementation} {record.case.id}"
            errors.print(f"{record.status}: {where}: {record.reason}", markup=False, highlight=False, soft_wrap=True)
