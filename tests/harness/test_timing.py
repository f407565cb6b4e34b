"""The timer on a simulated clock, where every duration is known, and once on the real one."""

import gc
from collections import Counter
from random import Random
from statistics import median

import pytest
import torch

from attnbench import clocks, timing
from attnbench.clocks import cache_bytes
from attnbench.statistics import in_block_ratios, median_interval
from attnbench.timing import FEWEST_BLOCKS, MOST_SETS, Keeper, rotated_sets, time_paired


class Machine:
    """A machine whose time passes only in calls."""

    def __init__(self, monkeypatch):
        self.now = 0
        self.rng = Random(7)
        monkeypatch.setattr(clocks, "now_ns", lambda: self.now)
        monkeypatch.setattr(timing, "now_ns", lambda: self.now)

    def call(self, seconds, noise=0.0, result=None):
        def run():
            slow = 1.5 if (self.now // 10**9) % 2 else 1.0  # every other second, all is slower
            self.now += int(1e9 * seconds * slow * self.rng.uniform(1 - noise, 1 + noise))
            return result

        return run


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def run(competitors, budget_s=5.0, target=0.01, **more):
    return time_paired(competitors, device="cpu", budget_s=budget_s, target=target, rng=Random(1), **more)


def ratio(found, one, other):
    return median_interval(in_block_ratios(found.blocks[one], found.blocks[other]))


def test_the_same_function_twice_has_a_ratio_of_one(machine):
    competitors = {name: [machine.call(1e-2, 0.3)] * 2 for name in "ab"}
    found = [ratio(run(competitors, budget_s=1.0, target=0.02), "a", "b") for _ in range(20)]
    assert all(0.8 < one.low < one.high < 1.25 for one in found)
    assert sum(one.low <= 1 <= one.high for one in found) >= 17  # of 95 %


def test_a_planted_slowdown_is_seen_through_drift(machine):
    found = ratio(run({"slow": [machine.call(2e-2, 0.1)] * 2, "fast": [machine.call(1e-2, 0.1)] * 2}), "slow", "fast")
    assert 1.9 < found.low < found.value < found.high < 2.1


def test_a_quiet_machine_needs_the_fewest_blocks_and_a_noisy_one_more(machine):
    calls = {"a": [machine.call(1e-4)] * 2, "b": [machine.call(1e-4)] * 2}
    quiet = run(calls, budget_s=0.9)
    noisy = run({"a": [machine.call(1e-2, 0.5)] * 2, "b": [machine.call(1e-2, 0.5)] * 2}, budget_s=5.0)
    assert len(quiet.blocks["a"]) == FEWEST_BLOCKS < len(noisy.blocks["a"])


def test_the_budget_ends_what_does_not_converge(machine):
    start = machine.now
    found = run({"a": [machine.call(5e-2, 0.9)] * 2, "b": [machine.call(5e-2, 0.9)] * 2}, target=1e-9)
    assert 5.0 < (machine.now - start) * 1e-9 < 5.0 + 4.0
    assert len({len(block) for blocks in found.blocks.values() for block in blocks}) == 1


def test_samples_of_short_calls_last_ten_milliseconds(machine):
    found = run({"short": [machine.call(1e-4)] * 2, "long": [machine.call(3e-2)] * 2})
    assert 60 <= found.calls["short"] <= 100  # 100, or fewer where the warm-up fell into a slow second
    assert found.calls["long"] == 1
    assert median(found.blocks["short"][0]) in (pytest.approx(1e-4), pytest.approx(1.5e-4))


def test_the_first_call_is_reported_apart(machine):
    compiled = []

    def call():
        machine.now += 1_000_000 if compiled else 7_000_000_000
        compiled.append(True)

    found = run({"compiles": [call, call], "other": [machine.call(1e-3)] * 2})
    assert found.first_call_s["compiles"] == pytest.approx(7.0)
    assert max(one for block in found.blocks["compiles"] for one in block) < 2e-3


def test_all_sets_are_called_equally_often(machine):
    calls = Counter()

    def call(index):
        machine.now += 2_000_000
        calls[index] += 1

    run({"a": [lambda i=i: call(i) for i in range(5)], "b": [machine.call(1e-3)] * 5})
    assert set(calls) == set(range(5))
    assert max(calls.values()) - min(calls.values()) <= 1


def test_the_garbage_collector_rests_while_timing_and_only_then(machine):
    states = set()

    def call():
        machine.now += 1_000_000
        states.add(gc.isenabled())

    run({"a": [call, call], "b": [machine.call(1e-3)] * 2})
    assert states == {False}
    assert gc.isenabled()


def test_the_watch_is_shown_results_with_their_sets(machine):
    keeper = Keeper(lambda index, result: (index, result), Random(3))
    sets = [machine.call(4e-3, result=f"result {i}") for i in range(6)]
    run({"a": sets, "b": [machine.call(1e-3)] * 6}, watch={"a": keeper})
    assert keeper.kept == {index: (index, f"result {index}") for index in keeper.kept}
    assert len(keeper.kept) == 3


def test_any_result_of_a_set_may_be_the_one_that_is_kept():
    stayed = Counter()
    for seed in range(600):
        keeper = Keeper(lambda _, result: result, Random(seed))
        for result in range(3):
            keeper(0, result)
        stayed[keeper.kept[0]] += 1
    assert all(140 < stayed[result] < 260 for result in range(3))


def test_sets_flush_the_cache_within_bounds(monkeypatch):
    monkeypatch.setattr(timing, "cache_bytes", lambda device: 10 * 2**20)
    assert rotated_sets(20 * 2**20, "cpu") == 3
    assert rotated_sets(1000, "cpu") == MOST_SETS
    assert rotated_sets(2**32, "cpu") == 2


def test_the_largest_cache_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(clocks, "Path", lambda _: tmp_path)
    assert cache_bytes("cpu") == clocks.USUAL_CACHE
    for index, size in enumerate(("48K", "2048K", "512K")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(size + "\n")
    assert cache_bytes("cpu") == 2 * 2**20


def test_more_work_takes_longer_on_the_real_clock():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what this shows must not depend on what else the other cores do
    once, more = torch.randn(2, 96, 96), torch.randn(2, 96, 96)

    def work(matrix, times):
        for _ in range(times):
            matrix @ matrix

    found = run(
        {
            "once": [lambda m=m: work(m, 20) for m in once],
            "again": [lambda m=m: work(m, 20) for m in once.clone()],
            "more": [lambda m=m: work(m, 80) for m in more],
        },
        budget_s=1.5,
        target=0.05,
    )
    torch.set_num_threads(threads)
    same, slower = ratio(found, "once", "again"), ratio(found, "more", "once")
    assert same.low < 1.25
    assert same.high > 0.8
    assert slower.value > 1.5
    assert slower.low < 4.5 < 2 * slower.high
