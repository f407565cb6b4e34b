"""What the verbs say, to people and to programs."""

import json
import subprocess
import sys

import pytest
from pydantic import TypeAdapter

from attnbench import record
from attnbench.cli import app
from attnbench.cli.show import show
from attnbench.facts import DeviceFacts, Paper
from attnbench.nouns import Fidelity, Layout, Pattern, Status
from attnbench.registry.catalogue import mechanisms
from attnbench.registry.registry import load

PLANNING = """
import sys
from attnbench.cli.app import run

for words in (["list", "--json"], ["run", "--plan", "--profile", "quick", "--device", "cpu"]):
    sys.argv = ["attnbench", *words]
    try:
        run()
    except SystemExit as ended:
        assert not ended.code, ended.code
    heavy = {"torch", "triton", "attnbench_impls"} & set(sys.modules)
    assert not heavy, (words, heavy)
"""


@pytest.fixture
def attnbench(monkeypatch, tmp_path, capfd):
    """Run the command line in this process to a good end, and return what it wrote."""
    monkeypatch.setenv("ATTNBENCH_DB", str(tmp_path / "results.db"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["attnbench", *words])
        with pytest.raises(SystemExit) as ended:
            app.run()
        out, err = capfd.readouterr()
        assert not ended.value.code, err
        return out

    return run


def test_planning_imports_neither_torch_nor_an_implementation(installation):
    done = subprocess.run(
        [sys.executable, "-c", PLANNING], env=installation.variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_list_for_programs(attnbench):
    said = json.loads(attnbench("list", "--json"))
    assert {one["slug"] for one in said["variants"]} == set(load().variants)
    for one in said["variants"]:
        assert set(one) >= {"slug", "layout", "patterns", "family", "paper", "fidelity", "implementations"}
        assert one["layout"] in set(Layout)
        assert set(one["patterns"]) <= set(Pattern)
        assert one["fidelity"] in set(Fidelity)
        assert Paper.model_validate(one["paper"])
        assert one["implementations"][0] == "reference"
    assert set(said["catalogue"]) == set(mechanisms())
    assert len(said["catalogue"]) == 334
    assert said["catalogue"]["multi_head"] == {"variant": "multi_head", "implementation": None}
    assert all(value is None or set(value) == {"variant", "implementation"} for value in said["catalogue"].values())
    assert {"correctness", "latency", "accuracy"} <= set(said["suites"])


def test_list_for_people(attnbench):
    said = attnbench("list")
    assert all(slug in said for slug in load().variants)
    assert "of the catalogue's 334 mechanisms" in said


def test_show_takes_every_name_of_the_catalogue(capfd):
    for slug in mechanisms():
        show(slug)
        assert slug in capfd.readouterr().out


def test_show_says_which_implementation_carries_a_mechanism(attnbench):
    carried = [(name, by) for name, by in load().catalogue().items() if by and by.implementation]
    assert ("mla_absorbed", "multi_head_latent/absorbed") in [
        (name, f"{by.variant}/{by.implementation}") for name, by in carried
    ]
    for name, by in carried:
        assert f"{name} is carried by {by.variant}/{by.implementation}" in attnbench("show", name)


def test_show_for_programs(attnbench):
    known = json.loads(attnbench("show", "multi_head", "--json"))
    assert (known["slug"], known["hyperparameters"]["attn_dropout"]) == ("multi_head", 0.0)
    waiting = next(name for name, by in load().catalogue().items() if by is None)
    assert json.loads(attnbench("show", waiting, "--json"))["carried_by"] is None


def test_show_a_variant_for_people(attnbench):
    said = attnbench("show", "multi_head")
    for words in ("Attention Is All You Need", "sdpa", "reference", "causal_weights", "one visible key"):
        assert words in said


def test_devices_for_programs_and_people(attnbench):
    found = TypeAdapter(list[DeviceFacts]).validate_json(attnbench("devices", "--json"))
    assert found[-1].kind == "cpu"
    assert found[-1].id in attnbench("devices")


def test_doctor(attnbench):
    findings = json.loads(attnbench("doctor", "--json"))
    assert {one["level"] for one in findings} <= {"fine", "note"}
    assert any("torch" in one["text"] for one in findings)
    assert "variants" in attnbench("doctor")


def test_check_names_the_case_and_how_to_see_it_again(attnbench):
    rows = json.loads(attnbench("check", "multi_head/torch", "--device", "cpu", "--seed", "5", "--json"))
    assert {row["status"] for row in rows} == {Status.PASSED}
    assert {row["seed"] for row in rows} == {5}
    (again,) = json.loads(
        attnbench("check", "multi_head/torch", "--device", "cpu", "--seed", "5", "--case", rows[0]["case"], "--json")
    )
    assert again == rows[0]


def test_a_job_runs_anywhere_by_its_file(attnbench, tmp_path, monkeypatch, capfd):
    words = ("--variant", "multi_head/torch", "--suite", "correctness", "--profile", "smoke", "--device", "cpu")
    (job,) = json.loads(attnbench("run", *words, "--plan", "--json"))["jobs"]
    job["cases"] = job["cases"][:3]
    (tmp_path / "job.json").write_text(json.dumps(job))
    attnbench("worker", str(tmp_path / "job.json"), "--out", str(tmp_path / "records"))
    files = sorted((tmp_path / "records").iterdir())
    records = [record.read(file.read_bytes(), file.name) for file in files]
    assert [f"{one.id}.json" for one in records] == [file.name for file in files]
    assert sorted(one.case.id for one in records) == sorted(record.Case(**case).id for case in job["cases"])
    assert {one.status for one in records} == {Status.PASSED}
    assert {one.provenance.seed for one in records} == {job["seed"]}

    job["source_hash"] = "0" * 64
    (tmp_path / "job.json").write_text(json.dumps(job))
    monkeypatch.setattr(sys, "argv", ["attnbench", "worker", str(tmp_path / "job.json")])
    with pytest.raises(SystemExit) as ended:
        app.run()
    assert ended.value.code == 2
    assert capfd.readouterr().err == (
        "attnbench: multi_head/torch changed since this job was planned: plan it again with `attnbench run`\n"
    )
