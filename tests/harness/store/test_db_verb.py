"""`attnbench db`."""

import json

import pytest
from typer.testing import CliRunner

from attnbench.cli.db import app
from attnbench.errors import UserError
from attnbench.nouns import Status
from attnbench.record import write
from attnbench.store import Store
from attnbench.store.schema import head
from attnbench.testing.records import make_record


@pytest.fixture
def db(tmp_path, monkeypatch):
    path = tmp_path / "[bold]results.db"
    monkeypatch.setenv("ATTNBENCH_DB", str(path))
    return path


def run(*arguments):
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    if result.exception is not None:
        raise result.exception
    return result.output


def test_import_info_export_rebuild(db, tmp_path):
    for seed in range(4):
        write(make_record(seed, suite="latency", status=Status.NOISY), tmp_path / "in")
    assert "4 results added, 0 known" in run("import", tmp_path / "in")
    assert "0 results added, 4 known" in run("import", tmp_path / "in")
    told = json.loads(run("info", "--json"))
    assert told == {
        "path": str(db),
        "schema": head(),
        "results": 4,
        "current": 4,
        "ranked": 0,
        "suites": {"latency": {"noisy": 4}},
    }
    shown = run("info")
    assert f"{db}, schema {head()}\n" in shown
    assert "noisy" in shown
    assert "4 records in" in run("export", tmp_path / "out")
    assert {one.name for one in (tmp_path / "in").iterdir()} == {one.name for one in (tmp_path / "out").iterdir()}
    assert "4 results in" in run("rebuild", tmp_path / "out", "--db", tmp_path / "other.db")
    with Store.open(tmp_path / "other.db", create=False) as store:
        assert len(list(store.records())) == 4
    assert "already" in run("upgrade")


def test_import_names_every_bad_file_and_takes_the_good_ones(db, tmp_path):
    write(make_record(), tmp_path / "in")
    for name in ("x.json", "y.json"):
        (tmp_path / "in" / name).write_text("[1]")
    result = CliRunner().invoke(app, ["import", str(tmp_path / "in")])
    assert isinstance(result.exception, UserError)
    assert "x.json" in str(result.exception)
    assert "refused:" in result.stderr
    assert "y.json" in result.stderr
    with Store.open(db, create=False) as store:
        assert len(list(store.records())) == 1


@pytest.mark.parametrize("verb", ["info", "export"])
def test_a_missing_database_is_not_made(db, verb, tmp_path):
    arguments = {"info": [], "export": [tmp_path / "out"]}[verb]
    with pytest.raises(UserError, match="no results at"):
        run(verb, *arguments)
    assert not db.exists()


@pytest.mark.parametrize("verb", ["info", "upgrade", "export", "import", "rebuild"])
def test_help_has_an_example(verb):
    assert f"attnbench db {verb}" in run(verb, "--help")
