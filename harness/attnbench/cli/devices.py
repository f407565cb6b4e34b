"""`attnbench devices`: what can be measured on."""

from rich.table import Table

from attnbench.cli.options import Json
from attnbench.cli.output import console, emit
from attnbench.devices import discover


def devices(json: Json = False) -> None:
    """List the CUDA devices and the CPU of this machine, by the ids that `--device` takes.

    Example: [bold]attnbench devices --json[/bold]
    """
    found = discover()
    if json:
        emit([one.model_dump(mode="json") for one in found])
        return
    table = Table(header_style="bold")
    for heading in ("id", "kind", "name", "memory", "threads", "driver"):
        table.add_column(heading, justify="right" if heading in {"memory", "threads"} else "left")
    for one in found:
        memory = f"{one.memory_bytes / 2**30:.0f} GiB"
        table.add_row(one.id, one.kind, one.name, memory, str(one.threads), one.driver or "")
    console.print(table)
