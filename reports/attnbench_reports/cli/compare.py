"""`attnbench compare`: two contenders on the workloads that both met."""

from typing import Annotated

import typer

from attnbench.cli.options import Database, Json
from attnbench.cli.output import console, emit
from attnbench.store import Store
from attnbench.store.location import default_path
from attnbench_reports import comparison
from attnbench_reports.outcomes import read
from attnbench_reports.terminal import render_comparison


def compare(
    left: Annotated[str, typer.Argument(help="A variant, or one of its implementations.", metavar="A")],
    right: Annotated[str, typer.Argument(help="What to compare it with.", metavar="B")],
    db: Database = None,
    json: Json = False,
) -> None:
    """Compare two variants or implementations, workload by workload, on the same device.

    Example: [bold]attnbench compare multi_head/sdpa multi_head/torch[/bold]

    A speed-up above 1 means that A is faster. It is the quotient of both sides' ratios to the baseline that was timed
    beside each, so that a slower moment of the machine cancels. A bare variant stands for its best implementation.
    """
    with Store.open(db or default_path(), create=False) as store:
        found = comparison.compare(read(store), left, right)
    if json:
        emit(found)
    else:
        console.print(*render_comparison(found, left, right), sep="\n", markup=False, highlight=False)
