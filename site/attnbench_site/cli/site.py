"""`attnbench site`: build the leaderboard, and look at it."""

from pathlib import Path
from typing import Annotated

import typer

from attnbench.cli.options import Database
from attnbench.registry.registry import load
from attnbench.store import Store
from attnbench.store.location import default_path
from attnbench_site.generator import build as build_site
from attnbench_site.server import server

app = typer.Typer(help="Build the static leaderboard, and look at it.", no_args_is_help=True, rich_markup_mode="rich")
Out = Annotated[Path, typer.Option(help="Folder of the site.")]
DEFAULT_OUT = Path("build/site")


@app.command()
def build(
    out: Out = DEFAULT_OUT,
    db: Database = None,
) -> None:
    """Build the site from the results in a database.

    Example: [bold]attnbench site build --out build/site[/bold]

    The pages need neither a server nor a network: open index.html. The same results give the same bytes.
    """
    with Store.open(db or default_path(), create=False) as store:
        count = build_site(store, load(), out)
    typer.echo(f"{count} pages in {out}: open {out / 'index.html'}")


@app.command()
def serve(
    out: Out = DEFAULT_OUT, port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8000
) -> None:
    """Serve a built site on this machine until interrupted.

    Example: [bold]attnbench site serve --port 8080[/bold]
    """
    with server(out, port) as running:
        typer.echo(f"http://127.0.0.1:{running.server_port}/ serves {out}; Ctrl-C ends")
        running.serve_forever()
