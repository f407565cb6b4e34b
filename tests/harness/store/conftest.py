import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from attnbench.store import Store

NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "results.db") as opened:
        yield opened


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach, unlike those of pytest."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.fixture
def unprivileged(open_folder: Path) -> Iterator[None]:
    """Permissions bind everybody but root, so that root becomes nobody for the test."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(open_folder, NOBODY, NOBODY)
    os.setresgid(NOBODY, NOBODY, 0)
    os.setresuid(NOBODY, NOBODY, 0)
    yield
    os.setresuid(0, 0, 0)
    os.setresgid(0, 0, 0)
