"""Where results are kept when the user names no database."""

import os
from pathlib import Path

from platformdirs import user_data_path

VARIABLE = "ATTNBENCH_DB"


def default_path() -> Path:
    """Return the database named by the environment variable ATTNBENCH_DB, else the one in the user's data folder."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else user_data_path("attnbench") / "results.db"
