"""The house: five packages that one wheel carries, arrows that hold, and nothing of anybody's machine."""

import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = {
    "harness": "attnbench",
    "impls": "attnbench_impls",
    "suites": "attnbench_suites",
    "reports": "attnbench_reports",
    "site": "attnbench_site",
}
# paths under which projects lie on somebody's machine, never on everybody's
MACHINE = re.compile(rb"(?<![\w.:/<-])/(?:work|home|root|Users|tmp/[a-z])(?:/[\w.-]+)+")


def tracked() -> list[Path]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this tree, built offline with what is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (built,) = folder.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        yield archive


def test_each_root_holds_one_package():
    for folder, package in HOUSE.items():
        assert (ROOT / folder / package / "__init__.py").is_file()
        assert (ROOT / folder / package / "py.typed").is_file()
        assert not (ROOT / folder / "__init__.py").exists(), "it would shadow a module of Python or of another package"


def test_the_site_is_not_ignored():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert not [line for line in ignored if line.strip("/") in HOUSE]


def test_the_arrows_hold():
    checker = Path(sysconfig.get_path("scripts")) / "lint-imports"
    done = subprocess.run([checker, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


def test_the_wheel_holds_every_source(wheel):
    inside = set(wheel.namelist())
    for folder, package in HOUSE.items():
        sources = [path for path in tracked() if path.is_relative_to(ROOT / folder / package)]
        assert sources
        missing = {path.relative_to(ROOT / folder).as_posix() for path in sources} - inside
        assert not missing


@pytest.mark.parametrize(
    "pattern",
    [
        r"attnbench/data/catalogue\.json",
        r"attnbench/store/migrations/versions/0001_\w+\.py",
        r"attnbench/store/migrations/env\.py",
        r"attnbench_site/templates/.+\.html(\.j2)?",
        r"attnbench_site/static/.+\.css",
        r"attnbench_site/static/.+\.js",
        *(rf"{package}/py\.typed" for package in HOUSE.values()),
    ],
)
def test_the_wheel_holds_what_is_read_at_run_time(pattern, wheel):
    assert [name for name in wheel.namelist() if re.fullmatch(pattern, name)]


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(HOUSE.values())


def test_the_wheel_opens_the_doors_of_the_project_file(wheel):
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    text = wheel.read(name).decode()
    for group, points in declared.items():
        assert f"[{group}]" in text
        for key, value in points.items():
            assert f"{key} = {value}" in text
            assert f"{value.split(':')[0].replace('.', '/')}" in " ".join(wheel.namelist())


def test_no_file_knows_the_machine_that_it_was_written_on():
    found = {
        path.relative_to(ROOT).as_posix(): places
        for path in tracked()
        if path != Path(__file__) and (places := MACHINE.findall(path.read_bytes()))
    }
    assert not found
