"""Builds the command line from the verbs that are installed, and turns user errors into one line."""

import sys
from importlib.metadata import entry_points

import typer

from attnbench import __version__
from attnbench.cli.output import errors
from attnbench.errors import UserError

app = typer.Typer(
    name="attnbench",
    help="Measures attention: every variant proved, timed and trained under one contract.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    if version:
        typer.echo(f"attnbench {__version__}")
        raise typer.Exit


def run() -> None:
    """Run the command line. Exit codes: 0 fine, 1 something measured is wrong, 2 the input was, 130 interrupted."""
    _add_verbs()
    try:
        app()
    except UserError as error:
        _fail(str(error))
    except OSError as error:  # a full or read-only disk, wherever it is met
        if error.strerror is None:
            raise
        where = f" {error.filename}" if error.filename else ""
        _fail(f"{error.strerror.lower()}{where}: free or choose another place; nothing that was stored is lost")


def _add_verbs() -> None:
    for point in sorted(entry_points(group="attnbench.verbs"), key=lambda point: point.name):
        verb = point.load()
        if isinstance(verb, typer.Typer):
            app.add_typer(verb, name=point.name)
        else:
            app.command(point.name)(verb)


def _fail(message: str) -> None:
    errors.print(f"attnbench: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)
