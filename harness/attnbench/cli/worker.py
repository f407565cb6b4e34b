"""`attnbench worker`: run one job, anywhere."""

from pathlib import Path
from threading import Event
from typing import Annotated

import typer
from pydantic import ValidationError

from attnbench.cli.output import errors
from attnbench.devices import locked, select
from attnbench.errors import UserError
from attnbench.execute.job import Job
from attnbench.execute.local import execute
from attnbench.record import write
from attnbench.registry.registry import load

FILE = typer.Argument(metavar="JOB.json", help="A job: an element of `jobs` in `attnbench run --plan --json`.")
FOLDER = typer.Option("--out", "-o", help="The folder that gets one record a case.")


def worker(job: Annotated[Path, FILE], out: Annotated[Path, FOLDER] = Path("records")) -> None:
    """Run one job and write its records, one file each. Knows no database: gather records with `attnbench db import`.

    A laptop, a Slurm array or a container runs the same command.

    Example: [bold]attnbench worker job.json --out records[/bold]
    """
    order = _read(job)
    (device,) = select([order.device.id])[:1]
    count = 0
    with locked(device):
        for record in execute(order.model_copy(update={"device": device}), load(), Event()):
            write(record, out)
            count += 1
    errors.print(f"{count} records in {out}", highlight=False)


def _read(path: Path) -> Job:
    try:
        return Job.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the text"
        raise UserError(
            f"{path} is no job: {where}: {first['msg']}; make one with `attnbench run --plan --json`"
        ) from None
