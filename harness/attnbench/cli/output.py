"""Where verbs write: people read tables, programs read JSON, both on standard output; the rest goes to errors."""

import sys
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from attnbench.nouns import Status
from attnbench.registry.plugins import Broken

console = Console()
errors = Console(stderr=True)

STYLES = {Status.PASSED: "green", Status.UNSUPPORTED: "dim", Status.UNCONVERGED: "yellow", Status.NOISY: "yellow"}


def emit(data: object) -> None:
    """Write data as indented JSON."""
    adapter: TypeAdapter[Any] = TypeAdapter(Any)
    sys.stdout.write(adapter.dump_json(data, indent=2).decode() + "\n")


def status(of: Status, count: int | None = None) -> Text:
    """Show a status in its colour, with how often it occurred where that is known."""
    return Text(f"{count} {of}" if count is not None else str(of), style=STYLES.get(of, "red"))


def statuses(counts: Iterable[tuple[Status, int]]) -> Text:
    """Show several statuses in one line."""
    return Text(", ").join(status(one, count) for one, count in counts)


def left_out(broken: Iterable[Broken]) -> None:
    """Name plugins that were left out, one line each, on standard error."""
    for one in broken:
        text = f"left out {one.plugin}: {one.file}:{one.line}: {one.message}"
        errors.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)


def progress() -> Progress:
    """A progress bar on standard error, so that standard output stays clean."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
    )
