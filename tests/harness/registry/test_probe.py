"""Plugins of third parties: one that is broken is named with its file and line, and the others are not affected."""

import os

import pytest

from attnbench.errors import UserError
from attnbench.registry import registry
from attnbench.registry.registry import load

GOOD = '''
from attnbench.contract import implementation


@implementation(of="multi_head", name="{name}")
def core(operands):
    """A fast core\u2028in two lines."""
    return operands.v
'''
VARIANT = '''
import torch
from attnbench.contract import Attention, Fidelity, Layout, Paper, Pattern, implementation, reduction, variant


@variant(
    slug="{slug}", paper=Paper(title="Made up", year=2020), family="linear", layout=Layout.SEQUENCE,
    patterns={{Pattern.NONCAUSAL_SELF}}, fidelity=Fidelity.KNOWN_WELL, mechanisms=(),
)
class MadeUp(Attention):
    """Returns what it gets."""

    def __init__(self, dim, heads, *, gain=1.0):
        super().__init__()


@implementation(of=MadeUp, name="fast")
def fast(operands):
    """Returns it at once."""
    return operands


@reduction(of=MadeUp, says="nothing is nothing")
def nothing(trial):
    """Zero is zero."""
    return torch.zeros(1), torch.zeros(1)
'''
# plugin source -> the line that the report points to, and its words
BROKEN = {
    "raises": ("import os\n\nraise RuntimeError('not\\ntoday')\n", 3, "RuntimeError: not today"),
    "misspelt": ("x = 1\ndef (:\n", 2, "SyntaxError"),
    "needy": ("import no_such_library\n", 1, "ModuleNotFoundError: No module named 'no_such_library'"),
    "exits": ("import sys\nsys.exit('bye')\n", 2, "SystemExit: bye"),
    "vanishes": ("import os\nos._exit(0)\n", 0, "importing it ended its process with status 0"),
    "faults": ("import ctypes\nctypes.string_at(0)\n", 0, "importing it ended its process with status -11"),
    "empty": ("VALUE = 1\n", 0, "TypeError: empty declares no variant and no implementation"),
    "borrows": ("from attnbench_impls.dense_softmax.multi_head import sdpa\n", 0, "declares no variant"),
    "homeless": (GOOD.format(name="own").replace("multi_head", "multi_hed"), 5, "did you mean multi_head"),
    "twin": (VARIANT.format(slug="multi_head"), 6, "multi_head is taken by attnbench_impls.dense_softmax.multi_head:"),
    "namesake": (GOOD.format(name="sdpa"), 5, "multi_head/sdpa is taken by attnbench_impls.dense_softmax.multi_head:"),
    "usurper": (GOOD.format(name="reference"), 5, "TypeError: `reference` is the name of the definition"),
}


@pytest.fixture(scope="module")
def loaded(installations):
    """All broken plugins at once, with good ones before, between and after them, that print whatever they like."""
    installation = installations()
    for name, (source, _, _) in BROKEN.items():
        installation.add(name, source)
    noise = 'import os\nprint(\'{"plugin": null}\')\nos.write(1, b"\\xff\\n")\nos.write(2, b"\\xff\\n")\n'
    for name in ("aaa_good", "mmm_good", "zzz_good"):
        installation.add(name, noise + GOOD.format(name=name))
    installation.add("own_variant", VARIANT.format(slug="made_up"))
    installation.add("half", GOOD.format(name="missing"), point="half.inner:core")
    names = {*BROKEN, "aaa_good", "mmm_good", "zzz_good", "own_variant", "half", "multi_head"}
    with pytest.MonkeyPatch.context() as patch:
        yield installation.enter(patch, names)(), installation


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_with_file_and_line(name, loaded):
    found, installation = loaded
    _, line, words = BROKEN[name]
    (report,) = [one for one in found.broken if one.plugin == f"{name} ({name} 1.0)"]
    assert (report.file, report.line) == (str(installation.packages / f"{name}.py"), line)
    assert words in report.message
    assert "\n" not in report.message


def test_an_entry_point_to_a_module_that_is_not_there(loaded):
    (report,) = [one for one in loaded[0].broken if one.plugin.startswith("half")]
    assert "half.inner:core" in report.file + report.message


def test_nothing_else_is_broken(loaded):
    assert {one.plugin.split()[0] for one in loaded[0].broken} == {*BROKEN, "half"}


def test_the_others_work_whatever_they_print(loaded):
    names = {one.name for one in loaded[0].variant("multi_head").implementations}
    assert names == {"reference", "sdpa", "torch", "aaa_good", "mmm_good", "zzz_good"}
    assert loaded[0].implementation("multi_head/mmm_good").distribution == "mmm_good 1.0"


def test_a_variant_of_a_third_party_is_a_variant_like_any(loaded):
    found = loaded[0].variant("made_up")
    assert [one.name for one in found.implementations] == ["reference", "fast"]
    assert found.reductions == (("nothing", "nothing is nothing"),)
    assert len({one.source_hash for one in found.implementations}) == 1


def test_a_registry_is_frozen(loaded):
    with pytest.raises(TypeError):
        loaded[0].variants["new"] = None
    with pytest.raises(AttributeError):
        loaded[0].broken = ()


def test_unknown_names_come_with_close_ones(loaded):
    found = loaded[0]
    with pytest.raises(UserError, match=r"unknown variant 'multi_hed': did you mean multi_head\?"):
        found.variant("multi_hed")
    with pytest.raises(UserError, match=r"unknown implementation of multi_head 'sdpo': did you mean sdpa\?"):
        found.implementation("multi_head/sdpo")
    with pytest.raises(UserError, match=r"unknown suite 'latancy': did you mean latency"):
        found.suite("latancy")


def test_a_stalled_plugin_is_given_up(installation, monkeypatch):
    installation.add("stalls", "import time\ntime.sleep(60)\n")
    installation.add("zzz_good", GOOD.format(name="late"))
    monkeypatch.setattr(registry, "PROBE_SECONDS", 15)
    found = installation.enter(monkeypatch, {"stalls", "zzz_good", "multi_head"})()
    assert [one.message for one in found.broken] == ["importing it took more than 15 s"]
    assert found.implementation("multi_head/late")


def test_answers_are_kept_until_a_source_changes(installation, monkeypatch):
    file = installation.add("fast_core", GOOD.format(name="fast"))
    load_anew = installation.enter(monkeypatch, {"fast_core", "multi_head"})
    asked = []
    monkeypatch.setattr(registry, "probe", lambda plugins, ask=registry.probe: asked.append(1) or ask(plugins))
    first = load_anew()
    assert load_anew() == first
    assert len(asked) == 1
    file.write_text(GOOD.format(name="faster"))
    assert load_anew().implementation("multi_head/faster")
    assert len(asked) == 2


def test_a_spoilt_or_read_only_cache_only_costs_time(installation, monkeypatch):
    installation.add("fast_core", GOOD.format(name="fast"))
    load_anew = installation.enter(monkeypatch, {"fast_core", "multi_head"})
    first = load_anew()
    for kept in (installation.packages.parent / "cache").rglob("registry-*.json"):
        kept.write_text("{}")
    assert load_anew() == first
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert load_anew() == first


def test_suites_of_third_parties(installation, monkeypatch):
    head = "from attnbench.suite import Suite\n"
    suite = "Suite(name='{}', version=1, summary='Made up.', cases=lambda *_: (), measure='a:b', judge='a:b')\n"
    installation.add("own", head + "S = " + suite.format("own"), group="attnbench.suites", point="own:S")
    installation.add("a_thief", head + "S = " + suite.format("latency"), group="attnbench.suites", point="a_thief:S")
    installation.add("raising", "\nraise ValueError('no')\n", group="attnbench.suites", point="raising:S")
    installation.add("leaving", "\nraise SystemExit\n", group="attnbench.suites", point="leaving:S")
    installation.add("none", "S = 3\n", group="attnbench.suites", point="none:S")
    found = installation.enter(monkeypatch, ())()
    assert found.suite("own").summary == "Made up."
    assert found.suite("latency").measure.startswith("attnbench_suites.")
    said = {one.plugin.split()[0]: (one.line, one.message) for one in found.broken}
    assert said == {
        "a_thief": (0, "ValueError: suite latency is taken"),
        "raising": (2, "ValueError: no"),
        "leaving": (2, "SystemExit:"),
        "none": (0, "TypeError: none:S is no Suite"),
    }


def test_an_environment_without_plugins_is_empty(installation, monkeypatch):
    assert not installation.enter(monkeypatch, ())().variants
    assert load() is load()
