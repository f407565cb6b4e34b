"""Clocks for CPU and CUDA, and the size of the cache that inputs must not be found in.

What they read is bound at import, out of reach of whatever is patched later.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import torch

Call = Callable[[], object]

USUAL_CACHE = 32 * 2**20

now_ns = time.perf_counter_ns
_Event = torch.cuda.Event
_synchronize = torch.cuda.synchronize
_sleep: Callable[[int], None] = torch.cuda._sleep


class Clock(Protocol):
    """Times a row of calls; `sample_s` is the least that a sample should last."""

    sample_s: float

    def time(self, before: Sequence[Call], marked: Call, after: Sequence[Call]) -> tuple[float, object]:
        """Run all calls; return the seconds that they took and the result of the marked one."""


class CpuClock:
    """Wall time around the calls."""

    sample_s = 0.010

    def time(self, before: Sequence[Call], marked: Call, after: Sequence[Call]) -> tuple[float, object]:
        """Run all calls; return the seconds that they took and the result of the marked one."""
        start = now_ns()
        result = _run(before, marked, after)
        return (now_ns() - start) * 1e-9, result


class CudaClock:
    """Events around calls that wait in the queue behind a flush of the L2 cache."""

    sample_s = 200e-6
    FLUSH_BYTES, CYCLES_A_SECOND, LONGEST_WAIT_S = 256 * 2**20, 2e9, 5e-3

    def __init__(self) -> None:
        size = max(self.FLUSH_BYTES, 2 * cache_bytes("cuda"))
        self.scratch = torch.empty(size // 4, dtype=torch.int32, device="cuda")
        self.launch_s = 0.0

    def time(self, before: Sequence[Call], marked: Call, after: Sequence[Call]) -> tuple[float, object]:
        """Run all calls; return the seconds that they took on the device and the result of the marked one."""
        start, end = _Event(enable_timing=True), _Event(enable_timing=True)
        self.scratch.zero_()
        self.scratch.sum()  # reading it back leaves no dirty lines to be written during the sample
        _sleep(int(min(2 * self.launch_s, self.LONGEST_WAIT_S) * self.CYCLES_A_SECOND))  # until all is launched
        launched = now_ns()
        start.record()
        result = _run(before, marked, after)
        end.record()
        self.launch_s = (now_ns() - launched) * 1e-9
        _synchronize()
        return start.elapsed_time(end) * 1e-3, result


CLOCKS: Mapping[str, Callable[[], Clock]] = {"cpu": CpuClock, "cuda": CudaClock}


def cache_bytes(device: str) -> int:
    """Return the size of the last cache before memory: 32 MiB where the system does not say."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).L2_cache_size)
    sizes = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    return max((int(size.removesuffix("K")) * 1024 for size in sizes), default=USUAL_CACHE)


def _run(before: Sequence[Call], marked: Call, after: Sequence[Call]) -> object:
    for call in before:
        call()
    result = marked()
    for call in after:
        call()
    return result
