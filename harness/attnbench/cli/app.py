"""Builds the command line from the verbs that are installed, and turns user errors into one line."""

import sys

import typer
from typer.exceptions import TyperException

from attnbench import __version__
from attnbench.cli.output import errors, left_out
from attnbench.errors import UserError
from attnbench.registry.plugins import plugin_of, points, trouble

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
        sys.exit(app(standalone_mode=False))
    except TyperException as error:  # an option or argument that does not fit
        message = " ".join(error.format_message().split())
        if message:  # without arguments, the help is all there is to say
            _fail(f"{message} (see --help)")
        sys.exit(error.exit_code)
    except UserError as error:
        _fail(str(error))
    except OSError as error:  # a full or read-only disk, wherever it is met
        if error.strerror is None:
            raise
        where = f" {error.filename}" if error.filename else ""
        _fail(f"{error.strerror.lower()}{where}: free or choose another place; nothing that was stored is lost")


def _add_verbs() -> None:
    taken: set[str] = set()
    for point in points("attnbench.verbs"):
        try:
            verb = point.load()
            if point.name in taken:
                raise ValueError(f"verb {point.name} is taken")
        except Exception as error:  # noqa: BLE001 - the verbs of a plugin may raise anything, and the others must go on
            left_out([trouble(plugin_of(point).model_copy(update={"module": point.module}), error)])
            continue
        taken.add(point.name)
        if isinstance(verb, typer.Typer):
            app.add_typer(verb, name=point.name)
        else:
            app.command(point.name)(verb)


def _fail(message: str) -> None:
    errors.print(f"attnbench: {message}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(2)
