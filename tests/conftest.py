"""Throw-away plugins of third parties, and the places in which they are installed."""

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from attnbench.registry import locate, registry
from attnbench.registry.plugins import installed
from attnbench.registry.registry import Registry

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"


class Installation:
    """Packages beside those that are installed, with a cache, a data folder and a database of their own."""

    def __init__(self, root: Path) -> None:
        self.packages = root / "packages"
        self.packages.mkdir(parents=True)
        self.database = root / "results.db"
        self.variables = {
            "PYTHONPATH": str(self.packages),
            "XDG_CACHE_HOME": str(root / "cache"),
            "XDG_DATA_HOME": str(root / "data"),
            "ATTNBENCH_DB": str(self.database),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }

    def add(self, name: str, source: str, *, group: str = "attnbench.impls", point: str | None = None) -> Path:
        """Install a distribution of one module, and return the file of the module."""
        file = self.packages / f"{name}.py"
        file.write_text(source)
        facts = self.packages / f"{name}-1.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(METADATA.format(name=name))
        (facts / "entry_points.txt").write_text(f"[{group}]\n{name} = {point or name}\n")
        return file

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start the command line in its own process."""
        command = [sys.executable, "-m", "attnbench", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=os.environ | self.variables, stdout=pipe, stderr=pipe, text=True)

    def attnbench(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the command line to its end."""
        with self.start(*words) as process:
            out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def enter(self, patch: pytest.MonkeyPatch, plugins: Collection[str]) -> Callable[[], Registry]:
        """Let this process see these packages, and of all plugins only those named; return what loads them anew."""
        for name, value in self.variables.items():
            patch.setenv(name, value)
        patch.syspath_prepend(str(self.packages))
        patch.setattr(registry, "installed", lambda: [one for one in installed() if one.name in plugins])

        def load() -> Registry:
            forget()
            return registry.load()

        return load


def forget() -> None:
    """Forget what this process knows of plugins and their files, as a new process would."""
    for known in (registry.load, locate.locate, locate.closure, locate._file_digest):
        known.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def plugins_of_one_module() -> Iterator[None]:
    """No module sees the throw-away plugins of another."""
    yield
    forget()


@pytest.fixture(scope="session")
def installations(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Installation]:
    """Make installations for fixtures of any scope."""
    return lambda: Installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
def installation(installations: Callable[[], Installation]) -> Iterator[Installation]:
    yield installations()
    forget()
