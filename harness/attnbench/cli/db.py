"""`attnbench db`: look after the database of results."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from attnbench.registry.registry import load
from attnbench.store import RefusedError, Store
from attnbench.store.location import default_path
from attnbench.store.rebuild import rebuild as make_anew
from attnbench.store.schema import head
from attnbench.store.schema import upgrade as bring_up

app = typer.Typer(name="db", help="Look after the database of results.", no_args_is_help=True)
console = Console(markup=False, highlight=False, soft_wrap=True)

Database = Annotated[
    Path,
    typer.Option(
        "--db",
        help="The database.",
        default_factory=default_path,
        show_default="$ATTNBENCH_DB, or results.db in the user's data folder",
    ),
]


@app.command()
def info(db: Database, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show where the database is and what it holds: the current results by suite and status.

    Example: attnbench db info --json
    """
    with Store.open(db, create=False) as store:
        totals, counts = store.totals(), store.counts()
    if as_json:
        typer.echo(json.dumps({"path": str(db), "schema": head(), **totals, "suites": counts}))
        return
    console.print(f"{db}, schema {head()}")
    console.print(f"{totals['results']} results, {totals['current']} current, {totals['ranked']} ranked")
    table = Table("suite", "status", "results")
    for suite, statuses in sorted(counts.items()):
        for status, count in sorted(statuses.items()):
            table.add_row(suite, status, str(count))
    if counts:
        console.print(table)


@app.command()
def upgrade(db: Database) -> None:
    """Bring the database to the schema of this version; a copy of the old one is kept beside it.

    Example: attnbench db upgrade
    """
    before, after = bring_up(db)
    if before == after:
        console.print(f"{db} has schema {after} already")
    else:
        console.print(f"{db}: schema {before} -> {after}; the old one is {db}.before-{before}")


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is missing.", metavar="DIR")],
    db: Database,
) -> None:
    """Write every result as a JSON record named by the hash of its content.

    Example: attnbench db export results/
    """
    with Store.open(db, create=False) as store:
        console.print(f"{store.export(folder)} records in {folder}")


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Records, or folders of them.", metavar="PATH")],
    db: Database,
) -> None:
    """Add exported records. A file that is no record is refused, and the others go in.

    Example: attnbench db import results/
    """
    with Store.open(db, gates=load().gates) as store:
        try:
            added, known = store.load(paths)
        except RefusedError as error:
            for reason in error.reasons[1:]:
                typer.echo(f"refused: {reason}", err=True)
            raise
    console.print(f"{added} results added, {known} known before")


@app.command()
def rebuild(
    folder: Annotated[Path, typer.Argument(help="A folder of exported records.", metavar="DIR")],
    db: Database,
) -> None:
    """Make the database anew from exported records; the old one is kept beside it.

    Example: attnbench db rebuild results/
    """
    console.print(f"{make_anew(db, folder, load().gates)} results in {db}")
