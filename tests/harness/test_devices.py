"""Devices: how users name them, and the lock that a run holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench import devices
from attnbench.errors import UserError, unknown
from attnbench.facts import DeviceFacts
from attnbench.testing.records import DEVICES

CPU, CUDA = DEVICES
TWIN = CUDA.model_copy(update={"index": 1})


@pytest.fixture
def machine(monkeypatch):
    """A machine with two GPUs of one model."""
    monkeypatch.setattr(devices, "discover", lambda: (CUDA, TWIN, CPU))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], (CUDA, CPU)),
        (["cpu"], (CPU,)),
        (["cuda"], (CUDA,)),
        (["cuda:1"], (TWIN,)),
        (["cpu_made_up_4t", "cpu"], (CPU,)),
        (["cpu", "cuda:0"], (CPU, CUDA)),
    ],
)
def test_names_of_devices_the_first_of_a_model_stands_for_all(names, expected, machine):
    assert devices.select(names) == expected


@pytest.mark.parametrize(("name", "hint"), [("cuda:2", "cuda"), ("gpu", "did you mean cpu"), ("tpu_v9", "known: ")])
def test_a_device_that_is_not_there(name, hint, machine):
    with pytest.raises(UserError, match=f"unknown device {name!r}: .*{hint}"):
        devices.select([name])


def test_this_machine_has_a_cpu():
    cpu = devices.discover()[-1]
    assert (cpu.kind, cpu.index) == ("cpu", 0)
    assert cpu.memory_bytes > 2**28
    assert cpu.id.endswith(f"_{cpu.threads}t")


@given(st.text(max_size=80))
def test_any_name_of_a_device_becomes_an_id(name):
    assert DeviceFacts(id=f"cpu_{devices._slug(name)}", kind="cpu", name="x", memory_bytes=1, threads=1).id


def test_a_device_is_held_by_one_run(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with devices.locked(CPU):
        with pytest.raises(UserError, match=f"device {CPU.id} is held by another attnbench run"), devices.locked(CPU):
            pass
        with devices.locked(CUDA):
            pass
    with devices.locked(CPU):
        pass


def test_a_lock_that_cannot_be_made(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(UserError, match=r"cannot lock cpu_made_up_4t in .*; set XDG_CACHE_HOME"), devices.locked(CPU):
        pass


def test_errors_of_the_run_are_not_those_of_the_lock(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(PermissionError, match="of the run"), devices.locked(CPU):
        raise PermissionError("of the run")


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        (["sdpa", "sdpa", "torch"], "did you mean sdpa?"),
        (["flex", "torch"], "known: flex, torch"),
        ([f"variant_{i}" for i in range(13)], "13 are known: see `attnbench list`"),
    ],
)
def test_hints_of_unknown_names(known, hint):
    assert str(unknown("thing", "sdp", known)) == f"unknown thing 'sdp': {hint}"
