"""The documentation is executed: every Python block runs, every command line names verbs and options that exist."""

import re
import shlex
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from attnbench.contract import Attention, Draw, Implementation, Reduction, Sequence, Trial

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def command_lines() -> list[tuple[str, str]]:
    lines = []
    for page in PAGES:
        for language in ("console", "bash", "sh"):
            for block in blocks(page, language):
                lines += [(page.name, line.lstrip("$ ")) for line in block.splitlines() if "attnbench " in line]
    return lines


def run_block(name: str, source: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> ModuleType:
    file = folder / f"{name}.py"
    file.write_text(source, encoding="utf-8")
    module = ModuleType(name)
    module.__file__ = str(file)
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(source, str(file), "exec"), vars(module))  # noqa: S102 - our own documentation
    return module


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for index, source in enumerate(blocks(page, "python")):
        run_block(f"documented_{page.stem.replace('-', '_').lower()}_{index}", source, monkeypatch, tmp_path)


def test_the_example_variant_is_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (source,) = blocks(ROOT / "docs/adding-a-variant.md", "python")
    things = vars(run_block("documented_variant", source, monkeypatch, tmp_path)).values()
    (variant,) = (
        one for one in things if isinstance(one, type) and issubclass(one, Attention) and "facts" in vars(one)
    )
    (fast,) = (one for one in things if isinstance(one, Implementation))
    (identity,) = (one for one in things if isinstance(one, Reduction))
    for core in (variant.mix, fast.mix):
        got, expected = identity.check(Trial(1, core, 3))
        assert (got - expected).abs().max() < 1e-12
    operands = Draw(0).module(variant(8, 2)).project(Sequence(x=Draw(1).normal(2, 5, 8)))
    assert (variant.mix(operands) - fast.mix(operands)).abs().max() < 1e-12


@pytest.mark.parametrize(("page", "line"), command_lines())
def test_commands_exist(page: str, line: str) -> None:
    words = shlex.split(line.split("|")[0].split("#")[0])
    words = words[words.index("attnbench") + 1 :]
    verbs = {point.name: point for point in entry_points(group="attnbench.verbs")}
    assert words[0] in verbs, f"{page}: no verb {words[0]}"
    verb = verbs[words[0]].load()
    app = verb if isinstance(verb, typer.Typer) else typer.Typer()
    if app is not verb:
        app.command()(verb)
    nested = words[1:2] if app is verb else []
    shown = CliRunner().invoke(app, [*nested, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert shown.exit_code == 0, shown.output
    for option in (word for word in words if word.startswith("-")):
        assert option in shown.output, f"{page}: {line}: no option {option}"
