"""The worker: finds what an order names, and gives every exception a status."""

import pytest
import torch

from attnbench.contract import Unsupported
from attnbench.execute import child, judge, worker
from attnbench.execute.job import Job
from attnbench.execute.messages import Order, Question, Reply
from attnbench.execute.subject import Measurement
from attnbench.facts import DeviceFacts
from attnbench.nouns import Status
from attnbench.registry.registry import load
from attnbench.suite import Verdict
from attnbench.testing.records import make_case
from attnbench_impls.dense_softmax.multi_head import MultiHead, sdpa


class CompilerError(Exception):
    """Named like torch.compile's."""


CompilerError.__module__ = "torch._dynamo.exc"

STATUSES = [
    (Unsupported("only causal"), Status.UNSUPPORTED, "only causal"),
    (torch.OutOfMemoryError("CUDA out of memory"), Status.OUT_OF_DEVICE_MEMORY, "OutOfMemoryError: CUDA"),
    (MemoryError(), Status.OUT_OF_HOST_MEMORY, "MemoryError"),
    (RuntimeError("[enforce fail] DefaultCPUAllocator: can't"), Status.OUT_OF_HOST_MEMORY, "DefaultCPUAllocator"),
    (CompilerError("no compiler"), Status.COMPILE_ERROR, "no compiler"),
    (ValueError("x" * 10_000), Status.CRASHED, "ValueError: xxx"),
]


@pytest.mark.parametrize(("error", "status", "words"), STATUSES, ids=lambda value: type(value).__name__)
def test_every_exception_is_a_status(error, status, words):
    def run():
        raise error

    reply, tensors = worker._answer(2, run)
    assert (reply.case, reply.status, tensors) == (2, status, b"")
    assert words in reply.reason
    assert len(reply.reason) <= 4000


def test_what_was_measured_travels_without_gradients_and_strides():
    out = torch.arange(6.0, requires_grad=True).reshape(2, 3).T
    reply, tensors = worker._answer(0, lambda: Measurement(tensors={"out": out, "same": out}, samples={"s": [1.0]}))
    assert reply.status is Status.PASSED
    seen = []

    def look(variant, case, seed, measured):
        seen.append(measured)
        return Verdict.passed()

    question = Question(case=make_case(), seed=1, reply=reply)
    assert judge._verdict(look, MultiHead, question, tensors).status is Status.PASSED
    assert torch.equal(seen[0].tensors["out"], out)
    assert seen[0].samples == {"s": [1.0]}


def test_tensors_that_cannot_be_read_and_judges_that_fail_are_no_verdict_on_the_plugin():
    question = Question(case=make_case(), seed=1, reply=Reply(case=0, status=Status.PASSED))
    said = judge._verdict(lambda *_: Verdict.passed(), MultiHead, question, b"no tensors")
    assert (said.status, said.reason[:17]) == (Status.HARNESS_ERROR, "the judge failed:")
    said = judge._verdict(lambda *_: 1 / 0, MultiHead, question, b"")
    assert said.reason == "the judge failed: ZeroDivisionError: division by zero"


def order(core: str, **changed) -> Order:
    variant = load().variant("multi_head")
    facts = load().implementation(f"multi_head/{core}").model_copy(update=changed)
    job = Job(
        variant="multi_head",
        implementation=core,
        source_hash=facts.source_hash,
        suite="correctness",
        device=DeviceFacts(id="cpu", kind="cpu", name="CPU", memory_bytes=2**30, threads=1),
        threads=1,
        seed=0,
        cases=(make_case(),),
    )
    return Order(job=job, variant=variant, implementation=facts, measure="a:b", judge="a:b", log="log")


def test_an_order_names_a_definition_a_core_and_reductions():
    subject = worker.load(order("sdpa"))
    assert (subject.variant, subject.core) == (MultiHead, sdpa.mix)
    assert {one.name for one in subject.reductions} == {name for name, _ in subject.facts.reductions}
    assert worker.load(order("reference")).core is MultiHead.mix


def test_what_is_no_longer_declared_is_said():
    with pytest.raises(LookupError, match="no longer declares multi_head/gone"):
        worker.load(order("sdpa", name="gone"))
    moved = order("sdpa")
    elsewhere = moved.variant.model_copy(update={"module": "attnbench.nouns"})
    with pytest.raises(LookupError, match=r"attnbench\.nouns no longer declares multi_head"):
        child.definition(moved.model_copy(update={"variant": elsewhere}))


def test_functions_are_named_by_text():
    assert child.function("attnbench.execute.worker:load") is worker.load
