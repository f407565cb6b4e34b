"""`attnbench check`: is it right? Nothing is stored."""

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from attnbench.cli.list import report_broken
from attnbench.cli.options import Devices, Json, Profiled, Seed
from attnbench.cli.output import console, emit, errors, statuses
from attnbench.cli.work import FINE, blame, work
from attnbench.devices import select
from attnbench.errors import UserError
from attnbench.nouns import Profile, Status
from attnbench.plan import Wish, plan, targets
from attnbench.record import Record
from attnbench.registry.registry import load

NAMES = typer.Argument(help="Variants, `variant/implementation`, or mechanisms of the catalogue.")


def check(
    names: Annotated[list[str] | None, NAMES] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Check every implementation.")] = False,
    profile: Profiled = Profile.SMOKE,
    device: Devices = None,
    seed: Seed = None,
    case: Annotated[str | None, typer.Option(help="Only the case with this id.")] = None,
    json: Json = False,
) -> None:
    """Prove implementations against their definitions: outputs, gradients, reductions, properties.

    Exit code 1 when anything is wrong.

    Example: [bold]attnbench check sliding_window/torch --profile quick[/bold]
    """
    if bool(names) == everything:
        raise UserError("say what to check: names, or --all" if not names else "give names or --all, not both")
    registry = load()
    wish = Wish(
        implementations=targets(registry, names or []),
        suites=sorted(registry.gates),
        devices=select(device or []),
        profile=profile,
        seed=secrets.randbits(52) if seed is None else seed,
        case=case,
    )
    records = work(plan(registry, wish), registry, "checking", keep=lambda _: None)
    if json:
        emit([_row(record) for record in records])
    else:
        _print(records)
        report_broken(registry)
    if any(record.status not in FINE for record in records):
        raise typer.Exit(1)


def _print(records: Sequence[Record]) -> None:
    table = Table(header_style="bold")
    for heading in ("implementation", "device", "verdict"):
        table.add_column(heading)
    counts: dict[tuple[str, str], Counter[Status]] = {}
    for record in sorted(records, key=lambda one: (one.device.kind, one.variant, one.implementation)):
        key = (f"{record.variant}/{record.implementation}", record.device.kind)
        counts.setdefault(key, Counter())[record.status] += 1
    for (name, kind), found in counts.items():
        table.add_row(name, kind, statuses(sorted(found.items())))
    console.print(table)
    bad = [record for record in records if record.status not in FINE]
    alike: dict[tuple[str, str, str], list[Record]] = {}
    for record in bad:
        alike.setdefault((record.variant, record.implementation, record.reason), []).append(record)
    for first, *others in alike.values():
        more = f"\n  and {len(others)} cases more for the same reason" if others else ""
        errors.print(blame(first) + more, markup=False, highlight=False, soft_wrap=True)
    passed = sum(record.status is Status.PASSED for record in records)
    console.print(f"{passed} of {len(records)} cases passed, {len(bad)} failed.", style="red" if bad else "green")


def _row(record: Record) -> dict[str, object]:
    row = record.model_dump(mode="json", include={"variant", "implementation", "status", "reason", "metrics"})
    return {**row, "case": record.case.id, "device": record.device.id, "seed": record.provenance.seed}
