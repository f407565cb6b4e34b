"""Source hashes: they change with what importing a module runs, and with nothing else."""

import sys

import pytest

from attnbench.registry.locate import closure, locate, source_hash

FILES = {
    "__init__.py": "",
    "core.py": "from . import tools\nfrom .deep.inner import thing\nimport json\n",
    "tools.py": "import madeup_package.leaf as leaf\n",
    "leaf.py": "VALUE = 1\n",
    "deep/__init__.py": "",
    "deep/inner.py": "from .. import upper\nthing = 1\ndef late():\n    from ..lazy import value\n    return value\n",
    "upper.py": "",
    "lazy.py": "value = 1\n",
    "unrelated.py": "VALUE = 1\n",
    "broken.py": "def (:\n",
}
REACHED = ["", ".core", ".deep", ".deep.inner", ".lazy", ".leaf", ".tools", ".upper"]


@pytest.fixture
def package(installation, monkeypatch):
    folder = installation.packages / "madeup_package"
    (folder / "deep").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    installation.enter(monkeypatch, ())()
    return folder


@pytest.fixture
def hashed(package, installation, monkeypatch):
    """Hash the core as a new process would."""
    load = installation.enter(monkeypatch, ())

    def again():
        load()
        return source_hash(["madeup_package.core"])

    return again


def test_the_closure_follows_every_way_to_import(package):
    assert sorted(closure("madeup_package.core")) == [f"madeup_package{name}" for name in REACHED]


@pytest.mark.parametrize("name", [name for name in FILES if name not in {"unrelated.py", "broken.py"}])
def test_editing_what_is_imported_changes_the_hash(name, package, hashed):
    before = hashed()
    (package / name).write_text(FILES[name] + "# edited\n")
    assert hashed() != before
    (package / name).write_text(FILES[name])
    assert hashed() == before


@pytest.mark.parametrize("name", ["unrelated.py", "broken.py", "new.py", "notes.txt"])
def test_editing_anything_else_does_not(name, package, hashed):
    before = hashed()
    (package / name).write_text("VALUE = 2\n")
    assert hashed() == before


def test_swapping_the_contents_of_two_files_changes_the_hash(package, hashed):
    before = hashed()
    (package / "upper.py").write_text(FILES["lazy.py"])
    (package / "lazy.py").write_text(FILES["upper.py"])
    assert hashed() != before


def test_a_syntax_error_is_left_to_the_probe(package):
    assert sorted(closure("madeup_package.broken")) == ["madeup_package", "madeup_package.broken"]
    assert len(source_hash(["madeup_package.broken"])) == 64


def test_nothing_is_imported(package):
    locate("madeup_package.deep.inner")
    source_hash(["madeup_package.core"])
    assert not [name for name in sys.modules if name.startswith("madeup_package")]


@pytest.mark.parametrize("module", ["no_such_package", "madeup_package.none", "json.none.at.all", "math", "sys", "a:b"])
def test_a_module_without_readable_source_is_nowhere(module, package):
    assert locate(module) is None
    assert closure(module) == frozenset()


def test_the_files_of_modules_and_packages(package):
    assert locate("madeup_package.deep.inner") == package / "deep" / "inner.py"
    assert locate("madeup_package.deep") == package / "deep" / "__init__.py"
