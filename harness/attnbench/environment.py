"""The software around a result, read without importing it, and the code that it came from."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attnbench import __version__
from attnbench.record import Environment

WATCHED = ("attnbench", "torch", "triton", "numpy")


@cache
def current() -> Environment:
    """Return the environment of this process, which is that of the workers that it starts."""
    found = {name: _version(name) for name in WATCHED}
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        packages={name: number for name, number in found.items() if number},
    )


@cache
def commit() -> tuple[str | None, bool | None]:
    """Return the git commit that attnbench runs from, and whether its tree was changed; (None, None) for a wheel."""
    folder = Path(__file__).parent
    head = _git(folder, "rev-parse", "HEAD")
    if head is None or _git(folder, "ls-files", "--error-unmatch", __file__) is None:
        return None, None
    return head.strip(), bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))


def _version(package: str) -> str | None:
    if package == "attnbench":
        return __version__
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(folder), *words],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
