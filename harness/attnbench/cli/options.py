"""Options that several verbs share, spelled once."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.nouns import Profile

Json = Annotated[bool, typer.Option("--json", help="Write JSON for programs.")]
Devices = Annotated[
    list[str] | None,
    typer.Option(
        "--device", "-d", help="A device: an id, `cpu`, `cuda` or `cuda:0`. Repeat for several; all by default."
    ),
]
Profiled = Annotated[Profile, typer.Option("--profile", "-p", help="How much to run.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**53 - 1, help="Repeat the random inputs of an earlier run.")]
Database = Annotated[
    Path | None, typer.Option("--db", help="The database; $ATTNBENCH_DB or the user's data folder by default.")
]
