"""Bad input of every kind: one line that names the thing and the remedy, exit code 2, nothing lost."""

import sys

import pytest
from filelock import FileLock

from attnbench.cli import app
from attnbench.devices import discover

RUN = ("run", "--variant", "multi_head", "--device", "cpu", "--profile", "smoke")
# words -> what the one line must say
REFUSED = {
    ("run", "--variant", "multi_hed"): "unknown variant 'multi_hed': did you mean multi_head",
    ("run", "--variant", "multi_head/sdpo"): "unknown implementation of multi_head 'sdpo': did you mean sdpa?",
    (*RUN, "--suite", "latenzy"): "unknown suite 'latenzy': did you mean latency?",
    ("run", "--device", "tpu"): "unknown device 'tpu': ",
    ("run", "--profile", "huge"): "'huge' is not one of 'smoke', 'quick', 'full'. (see --help)",
    ("run", "--retry", "--again"): "--again runs everything again, --retry only what did not pass: give one of them",
    ("run", "--seed", "-1"): "Invalid value for '--seed'",
    ("run", "--seeds", "1"): "No such option: --seeds",
    ("run", "-i", "nothing"): "no variant has an implementation 'nothing': see `attnbench list`",
    (*RUN, "--db", "{file}/results.db"): "cannot make the folder of {file}/results.db: ",
    (*RUN, "--db", "/proc/results.db"): "/proc/results.db",
    (*RUN, "--db", "{folder}"): "{folder} is a folder: name a file in it with --db",
    (*RUN, "--db", "{file}"): "{file} is not a database: name another file with --db",
    ("check",): "say what to check: names, or --all",
    ("check", "multi_head", "--all"): "give names or --all, not both",
    ("check", "multi_head", "--case", "none"): "no case 'none' at profile smoke: ids stand in `attnbench check --json`",
    ("show", "mla_absorb"): "unknown variant or mechanism 'mla_absorb': did you mean mla_absorbed",
    ("show",): "Missing argument 'name'",
    ("worker", "{folder}/none.json"): "cannot read {folder}/none.json: No such file or directory",
    ("worker", "{file}"): "{file} is no job: ",
    ("lst",): "No such command 'lst'",
}


@pytest.fixture
def attnbench(monkeypatch, tmp_path, capfd):
    """Run the command line in this process."""
    monkeypatch.setenv("ATTNBENCH_DB", str(tmp_path / "results.db"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["attnbench", *words])
        with pytest.raises(SystemExit) as ended:
            app.run()
        return ended.value.code, *capfd.readouterr()

    return run


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_one_line_and_exit_code_2(words, attnbench, tmp_path):
    places = {"file": str(tmp_path / "notes.txt"), "folder": str(tmp_path)}
    (tmp_path / "notes.txt").write_text("not what you think\n" * 100)
    code, out, err = attnbench(*(word.format(**places) for word in words))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1, err
    assert err.startswith("attnbench: ")
    assert REFUSED[words].format(**places) in err
    assert (tmp_path / "notes.txt").read_text().startswith("not what you think")


def test_a_device_that_another_run_holds(attnbench, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    device = discover()[-1].id
    (tmp_path / "attnbench" / "locks").mkdir(parents=True)
    with FileLock(tmp_path / "attnbench" / "locks" / f"{device}.lock"):
        code, _, err = attnbench("check", "multi_head/torch", "--device", "cpu")
    assert code == 2
    assert f"device {device} is held by another attnbench run" in err


def test_help_is_no_error(attnbench):
    code, out, err = attnbench("--help")
    assert (code, err) == (0, "")
    assert "Commands" in out
    code, out, err = attnbench()
    assert code == 2
    assert "Commands" in out + err


def test_broken_plugins_are_named_and_the_rest_goes_on(installation):
    verbs, impls = (
        installation.add(name, "\nraise OSError('no\\nluck')\n", group=group)
        for name, group in (
            ("own_verb", "attnbench.verbs"),
            ("own_core", "attnbench.impls"),
        )
    )
    done = installation.attnbench("list")
    assert done.returncode == 0, done.stderr
    assert "multi_head" in done.stdout
    assert done.stderr.splitlines() == [
        f"left out own_verb (own_verb 1.0): {verbs}:2: OSError: no luck",
        f"left out own_core (own_core 1.0): {impls}:2: OSError: no luck",
    ]


def test_exit_codes_of_the_installed_command(installation):
    done = installation.attnbench("run", "--variant", "multi_hed")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("attnbench: unknown variant 'multi_hed': did you mean multi_head")
    assert done.stderr.count("\n") == 1
    assert not installation.database.exists()


def test_a_verb_of_a_third_party_joins_and_takes_no_name(installation):
    source = "import typer\n\n\ndef run() -> None:\n    '''Greet.'''\n    typer.echo('hello')\n"
    thief = installation.add("thief", source, group="attnbench.verbs", point="thief:run")
    facts = installation.packages / "thief-1.0.dist-info" / "entry_points.txt"
    facts.write_text("[attnbench.verbs]\nrun = thief:run\ngreet = thief:run\n")
    done = installation.attnbench("greet")
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert done.stderr == f"left out run (thief 1.0): {thief}:0: ValueError: verb run is taken\n"
