import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from attnbench.errors import UserError
from attnbench.nouns import Dtype, Status
from attnbench.store import Store
from attnbench.suite import Metric
from attnbench.testing.records import DEVICES, make_case, make_record
from attnbench_reports.cli.compare import compare
from attnbench_reports.cli.report import report

PASSED = {
    "status": Status.PASSED,
    "metrics": {
        "ratio": Metric(value=2.0, unit="x", low=1.9, high=2.1),
        "latency": Metric(value=1e-3, unit="s", low=9e-4, high=1.1e-3),
    },
}


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Three implementations of one variant: one is proved and timed, one is wrong, one crashes when it is timed."""
    path = tmp_path / "results.db"
    case = make_case(0, suite="latency", dtype=Dtype.FLOAT32, settings={})
    with Store.open(path) as store:
        for seed, name in enumerate(("torch", "triton", "flex")):
            same = {"variant": "retention", "implementation": name, "device": DEVICES[0]}
            proof = Status.WRONG if name == "triton" else Status.PASSED
            store.ingest(make_record(seed, **same, suite="correctness", dtype=Dtype.FLOAT32, status=proof))
            timing = {"status": Status.CRASHED, "reason": "[red]signal 11[/red]"} if name == "flex" else PASSED
            store.ingest(make_record(seed, **same, case=case, **timing))
    return path


def invoke(verb: object, *arguments: str) -> Result:
    app = typer.Typer(rich_markup_mode="rich")
    app.command()(verb)  # type: ignore[type-var] # typer's own bound is on the callable
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "200"}, catch_exceptions=False)


def test_report_ranks_and_says_who_is_not_ranked(db: Path) -> None:
    found = " ".join(invoke(report, "--db", str(db)).output.split())  # however wide the terminal is
    assert "retention/torch" in found
    assert "not ranked, 0 of 1 workloads: no passed correctness result" in found
    assert "not ranked, 0 of 1 workloads: crashed: [red]signal 11[/red]" in found
    assert "2.00×" in found
    assert "1.90× – 2.10×" in found


def test_report_json_holds_the_same_boards(db: Path) -> None:
    boards = json.loads(invoke(report, "--db", str(db), "--json").output)
    assert [board["suite"] for board in boards] == ["latency", "correctness"]
    (ranking,) = boards[0]["rankings"]
    assert ranking["ranked"][0]["contender"]["implementation"] == "torch"
    assert len(ranking["unranked"]) == 2


def test_report_of_one_suite(db: Path) -> None:
    boards = json.loads(invoke(report, "--db", str(db), "--suite", "latency", "--json").output)
    assert [board["suite"] for board in boards] == ["latency"]


@pytest.mark.parametrize("arguments", [("--suite", "latncy"), ("--device", "cpu_made_up")], ids=str)
def test_unknown_names_are_refused_with_a_suggestion(db: Path, arguments: tuple[str, str]) -> None:
    with pytest.raises(UserError, match="did you mean"):
        invoke(report, "--db", str(db), *arguments)


def test_a_missing_database_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        invoke(report, "--db", str(tmp_path / "none.db"))


def test_compare_prints_both_sides(db: Path) -> None:
    found = invoke(compare, "retention/torch", "retention/triton", "--db", str(db)).output
    assert "✓ passed" in found
    assert "✗ failed" in found
    assert found.count("1.00 ms") == 2


def test_compare_json(db: Path) -> None:
    found = json.loads(invoke(compare, "retention/torch", "retention/torch", "--db", str(db), "--json").output)
    assert found["pairs"][0]["speedup"]["value"] == 1.0
