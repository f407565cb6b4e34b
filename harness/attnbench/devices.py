"""Finds every CUDA device and the CPU, without importing torch, and locks one for a run."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache

import cpuinfo
import psutil
import pynvml
from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from attnbench.errors import UserError, unknown
from attnbench.facts import DeviceFacts


@cache
def discover() -> tuple[DeviceFacts, ...]:
    """Return every device of this machine: the CUDA devices first, the CPU last."""
    return (*_cuda(), _cpu())


def select(names: Sequence[str]) -> tuple[DeviceFacts, ...]:
    """Return the devices that a user named: an id, a kind (`cpu`, `cuda`), `cuda:0`, or nothing for all.

    Of several GPUs of one model the first stands for all: their results would be the same measurement twice.

    Raises:
        UserError: no device of this machine has that name.
    """
    found = discover()
    chosen: dict[str, DeviceFacts] = {}
    for name in names or [one.kind for one in found]:
        matching = [one for one in found if name in {one.id, one.kind, f"{one.kind}:{one.index}"}]
        if not matching:
            raise unknown("device", name, {one.id for one in found} | {one.kind for one in found})
        for one in matching:
            chosen.setdefault(one.id, one)
    return tuple(chosen.values())


@contextmanager
def locked(device: DeviceFacts) -> Iterator[None]:
    """Hold a device for one run: two at once would disturb each other's times.

    Raises:
        UserError: another run holds the device.
    """
    folder = user_cache_path("attnbench") / "locks"
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(folder / f"{device.id}.lock", timeout=0))
        except Timeout:
            raise UserError(
                f"device {device.id} is held by another attnbench run: wait for it, or choose another with --device"
            ) from None
        except OSError as error:
            raise UserError(f"cannot lock {device.id} in {folder}: {error.strerror}; set XDG_CACHE_HOME") from None
        yield


def _cpu() -> DeviceFacts:
    name = " ".join(str(cpuinfo.get_cpu_info().get("brand_raw", "unknown CPU")).split())
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return DeviceFacts(
        id=f"cpu_{_slug(name)}_{threads}t",
        kind="cpu",
        name=name,
        memory_bytes=psutil.virtual_memory().total,
        threads=threads,
    )


def _cuda() -> Iterator[DeviceFacts]:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no NVIDIA driver on this machine
        return
    try:
        driver = pynvml.nvmlSystemGetDriverVersion()
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            name = pynvml.nvmlDeviceGetName(handle)
            yield DeviceFacts(
                id=f"cuda_{_slug(name)}",
                kind="cuda",
                name=name,
                index=index,
                uuid=pynvml.nvmlDeviceGetUUID(handle),
                memory_bytes=pynvml.nvmlDeviceGetMemoryInfo(handle).total,
                threads=os.cpu_count() or 1,
                driver=driver,
            )
    finally:
        pynvml.nvmlShutdown()


def _slug(name: str) -> str:
    plain = re.sub(r"\((r|tm)\)|\bcpu\b|@.*$|\bprocessor\b|\bnvidia\b", "", name.lower())
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:48] or "unknown"
