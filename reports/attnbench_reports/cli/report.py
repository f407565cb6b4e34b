"""`attnbench report`: who is right, and who is ahead."""

from typing import Annotated

import typer

from attnbench.cli.options import Database, Json
from attnbench.cli.output import console, emit
from attnbench.errors import unknown
from attnbench.store import Store
from attnbench.store.location import default_path
from attnbench_reports.board import boards
from attnbench_reports.outcomes import Outcome, read
from attnbench_reports.terminal import render


def report(
    suite: Annotated[str | None, typer.Option(help="Only this suite.")] = None,
    device: Annotated[str | None, typer.Option(help="Only the device with this id.")] = None,
    db: Database = None,
    json: Json = False,
) -> None:
    """Print a board for each suite and device: what was proved, and the ranks that the intervals allow.

    Example: [bold]attnbench report --suite latency[/bold]

    Ranks that the measurements cannot tell apart are given as a range. Whatever has no passed correctness result
    behind it is listed below the ranked, with the reason.
    """
    with Store.open(db or default_path(), create=False) as store:
        outcomes = read(store)
    if suite is not None:
        outcomes = _only(outcomes, "suite", suite, {one.case.suite for one in outcomes})
    if device is not None:
        outcomes = _only(outcomes, "device", device, {one.device.id for one in outcomes})
    found = boards(outcomes)
    if json:
        emit(found)
    else:
        none = ["no results yet: `attnbench run` makes some"]
        console.print(*(render(found) if found else none), sep="\n", markup=False, highlight=False)


def _only(outcomes: list[Outcome], kind: str, name: str, known: set[str]) -> list[Outcome]:
    if name not in known:
        raise unknown(f"{kind} among the results", name, known)
    return [one for one in outcomes if name in (one.case.suite, one.device.id)]
