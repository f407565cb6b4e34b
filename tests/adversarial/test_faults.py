"""Implementations that crash, hang, eat memory, lie or litter: each costs its own case, and nothing else.

Every fault is an implementation of `multi_head` in a third-party package that goes wrong for queries of one length,
and computes the others honestly.
"""

import os
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event

import psutil
import pytest

from attnbench.execute import local
from attnbench.execute.job import Job
from attnbench.facts import Case, DeviceFacts
from attnbench.nouns import Dtype, Layout, Pattern, Profile, Status
from attnbench.record import Record
from attnbench.registry.registry import Registry
from attnbench.running import run
from attnbench.store import Store

BAD, GOOD = 5, (4, 6)
MARK = f"86399.{os.getpid()}"  # seconds of a sleep by which leftovers are found

HEAD = """
import ctypes, gc, os, signal, struct, subprocess, sys, time
from multiprocessing.connection import Connection

import torch
from attnbench.contract import implementation
from attnbench_impls.dense_softmax.multi_head import matmul


def sleeper(**options):
    subprocess.Popen(["sleep", "{mark}"], **options)


def parent():
    return next(one for one in gc.get_objects() if isinstance(one, Connection))
"""
CORE = '''

@implementation(of="multi_head", name="{name}")
def {name}(operands):
    """A core with a fault."""
    if operands.q.shape[2] != {bad}:
        return matmul(operands)
{body}
'''


@dataclass(frozen=True)
class Fault:
    body: str
    status: Status
    words: str = ""
    kind: str = "forward"
    seconds: float = 60.0
    memory: int = 2**34


FAULTS = {
    "honest": Fault("return matmul(operands)", Status.PASSED),
    "honest_gradients": Fault("return matmul(operands)", Status.PASSED, kind="gradients"),
    "segfault": Fault("ctypes.string_at(0)", Status.CRASHED, "signal SIGSEGV"),
    "leaves": Fault("print('passed', flush=True); os._exit(0)", Status.CRASHED, "exit status 0"),
    "quits": Fault("sys.exit(3)", Status.CRASHED, "exit status 3"),
    "raises": Fault("raise ValueError('no such luck')", Status.CRASHED, "ValueError: no such luck"),
    "loops": Fault("while True: pass", Status.TIMED_OUT, "no answer within 1 s", seconds=1.0),
    "deaf": Fault(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass",
        Status.TIMED_OUT,
        "no answer within 1 s",
        seconds=1.0,
    ),
    "hog": Fault(
        "held = []\nwhile True: held.append(torch.empty(2**26))", Status.OUT_OF_HOST_MEMORY, "memory", memory=3 * 2**30
    ),
    "glutton": Fault("bytearray(2**42)", Status.OUT_OF_HOST_MEMORY, "MemoryError"),
    "nan": Fault("return matmul(operands) * torch.nan", Status.WRONG, "is nan"),
    "misshapen": Fault("return matmul(operands)[..., :-1]", Status.WRONG, "shape (1, 2, 5, 3), expected (1, 2, 5, 4)"),
    "coarse": Fault("return matmul(operands).bfloat16()", Status.WRONG, "torch.bfloat16 instead of torch.float32"),
    "integers": Fault("return matmul(operands).round().long()", Status.WRONG, "torch.int64 instead of torch.float32"),
    "vandal": Fault("operands.q.zero_(); return matmul(operands)", Status.WRONG, "changed operand q"),
    "detached": Fault("return matmul(operands).detach()", Status.WRONG, "q: relative error", kind="gradients"),
    "half_detached": Fault(
        "return matmul(operands.with_tensors({'k': operands.k.detach()}))", Status.WRONG, "k: ", kind="gradients"
    ),
    "nothing": Fault("return None", Status.CRASHED, "NoneType"),
    "litters": Fault("sleeper(); return matmul(operands)", Status.PASSED),
    "litters_and_dies": Fault("sleeper(); os._exit(9)", Status.CRASHED, "exit status 9"),
    "daemon": Fault("sleeper(start_new_session=True); return matmul(operands)", Status.PASSED),
    "talks": Fault("print('y' * 10**7); return matmul(operands)", Status.PASSED),
    "paints": Fault("raise ValueError('\\x1b[2Jpassed \\u202e')", Status.CRASHED, "\\x1b[2Jpassed \\x202e"),
    "mumbles": Fault("parent().send_bytes(b'passed')", Status.REJECTED, "unexpected message b'passed'"),
    "shouts": Fault("os.write(parent().fileno(), struct.pack('!i', 2**31 - 1))", Status.REJECTED, "refused"),
    "answers_for_others": Fault(
        """parent().send_bytes(b'Reply {"case": 7, "status": "passed"}')""", Status.REJECTED, "another case"
    ),
    "begins_again": Fault("""parent().send_bytes(b'Began {"case": 1}')""", Status.REJECTED, "another case"),
    "invents_a_status": Fault(
        """parent().send_bytes(b'Reply {"case": 1, "status": "best"}')""", Status.REJECTED, "status"
    ),
    "trails_off": Fault(
        "os.write(parent().fileno(), struct.pack('!i', 99)); time.sleep(60)", Status.TIMED_OUT, "a message took"
    ),
}


VARIANT = '''
import os
from dataclasses import dataclass

from attnbench.contract import Attention, Fidelity, Layout, Operands, Outputs, Paper, Pattern, implementation, variant
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Values(Operands):
    v: Tensor


@variant(
    slug="own_variant", paper=Paper(title="Made up", year=2020), family="linear", layout=Layout.SEQUENCE,
    patterns={{Pattern.CAUSAL_SELF}}, fidelity=Fidelity.KNOWN_WELL, mechanisms=(),
)
class OwnVariant(Attention):
    """Returns what it gets, or ends the process that asks."""

    def __init__(self, dim, heads):
        super().__init__()

    def project(self, inputs):
        return Values(v=inputs.x)

    @staticmethod
    def mix(operands):
        if operands.v.shape[1] == {bad}:
            os._exit(7)
        return operands.v

    def merge(self, mixed, inputs):
        return Outputs.of(mixed)


@implementation(of=OwnVariant, name="honest")
def honest(operands):
    """Returns what it gets."""
    return operands.v.clone()
'''


@pytest.fixture(scope="module")
def registry(installations) -> Iterator[Registry]:
    cores = [
        CORE.format(name=name, bad=BAD, body=textwrap.indent(fault.body, "    ")) for name, fault in FAULTS.items()
    ]
    installation = installations()
    installation.add("saboteur", HEAD.format(mark=MARK) + "".join(cores))
    installation.add("own_variant", VARIANT.format(bad=BAD))
    with pytest.MonkeyPatch.context() as patch:
        yield installation.enter(patch, {"multi_head", "saboteur", "own_variant"})()


def device(memory: int) -> DeviceFacts:
    return DeviceFacts(id="cpu_made_up", kind="cpu", name="Made-up CPU", memory_bytes=memory, threads=1)


def cases(fault: Fault) -> tuple[Case, ...]:
    """A good case, the bad one, and another good one."""
    return tuple(
        Case(
            suite="correctness",
            version=1,
            kind=fault.kind,
            layout=Layout.SEQUENCE,
            pattern=Pattern.CAUSAL_SELF,
            dtype=Dtype.FLOAT32,
            shape={"batch": 1, "n": n, "dim": 8, "heads": 2},
            profile=Profile.SMOKE,
            seconds=fault.seconds if n == BAD else 60.0,
        )
        for n in (GOOD[0], BAD, GOOD[1])
    )


def job(registry: Registry, name: str) -> Job:
    fault = FAULTS[name]
    return Job(
        variant="multi_head",
        implementation=name,
        source_hash=registry.implementation(f"multi_head/{name}").source_hash,
        suite="correctness",
        device=device(fault.memory),
        threads=1,
        seed=7,
        cases=cases(fault),
    )


def leftovers() -> list[str]:
    """Whatever still runs of a job: processes of the fork server, and sleepers wherever they went."""
    ours = {one.pid for one in psutil.Process().children()}
    forked = [one for one in psutil.Process().children(recursive=True) if one.pid not in ours]
    sleepers = [one for one in psutil.process_iter(["cmdline"]) if MARK in (one.info["cmdline"] or ())]
    return [str(one) for one in forked + sleepers if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def nothing_is_left() -> bool:
    end = time.monotonic() + 10
    while leftovers() and time.monotonic() < end:
        time.sleep(0.05)
    return not leftovers()


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_its_own_case(name, registry, monkeypatch):
    monkeypatch.setattr(local, "MESSAGE_SECONDS", 3.0)
    fault = FAULTS[name]
    records = list(local.execute(job(registry, name), registry, Event()))
    assert [record.case.shape["n"] for record in records] == [GOOD[0], BAD, GOOD[1]]
    assert records[1].status is fault.status, records[1].reason
    assert fault.words in records[1].reason
    assert [records[0].status, records[2].status] == [Status.PASSED, Status.PASSED], records
    assert records[1].reason.replace("\n", "").isprintable()
    assert nothing_is_left(), leftovers()


def test_a_definition_that_ends_the_judge_costs_its_own_case(registry):
    found = registry.implementation("own_variant/honest")
    changed = {"variant": "own_variant", "implementation": "honest", "source_hash": found.source_hash}
    records = list(local.execute(job(registry, "honest").model_copy(update=changed), registry, Event()))
    assert [record.status for record in records] == [Status.PASSED, Status.HARNESS_ERROR, Status.PASSED]
    assert records[1].reason == "the judge gave no verdict: it ended with exit status 7"
    assert nothing_is_left(), leftovers()


def test_what_a_plugin_prints_is_kept_short_and_beside_the_reason(registry):
    records = {record.case.shape["n"]: record for record in local.execute(job(registry, "leaves"), registry, Event())}
    assert records[BAD].provenance.log == "passed"
    assert records[GOOD[0]].provenance.log == ""


def test_other_jobs_finish_and_everything_is_stored(registry, tmp_path):
    jobs = [job(registry, name) for name in ("segfault", "honest", "quits")]
    with Store.open(tmp_path / "results.db") as store:
        for record in run(jobs, registry):
            store.ingest(record)
        kept: dict[str, list[Record]] = {}
        for record in store.records():
            kept.setdefault(record.implementation, []).append(record)
    assert {name: sorted(one.status for one in records) for name, records in kept.items()} == {
        "segfault": [Status.CRASHED, Status.PASSED, Status.PASSED],
        "honest": [Status.PASSED] * 3,
        "quits": [Status.CRASHED, Status.PASSED, Status.PASSED],
    }


def test_closing_a_run_ends_its_processes(registry):
    results = run([job(registry, "honest")], registry)
    next(results)
    results.close()
    assert nothing_is_left(), leftovers()
