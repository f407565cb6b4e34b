"""The process that judges what a worker measured. It knows the definition, never the implementation."""

from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from safetensors.torch import load

from attnbench.contract import Attention
from attnbench.execute.child import begin, definition, function
from attnbench.execute.messages import TENSOR_BYTES, Order, Question, receive, send
from attnbench.execute.subject import Measurement
from attnbench.facts import Case
from attnbench.nouns import Status
from attnbench.suite import Verdict

Judge = Callable[[type[Attention[Any, Any, Any]], Case, int, Measurement], Verdict]


def main(connection: Connection, text: str) -> None:
    """Answer questions until the parent hangs up."""
    order = Order.model_validate_json(text)
    begin(order)
    judge: Judge = function(order.judge)
    variant = definition(order)
    while True:
        try:
            question = receive(connection, Question)
            tensors = connection.recv_bytes(TENSOR_BYTES)
        except EOFError:
            return
        send(connection, _verdict(judge, variant, question, tensors))


def _verdict(judge: Judge, variant: type[Attention[Any, Any, Any]], question: Question, tensors: bytes) -> Verdict:
    try:
        measured = Measurement(
            tensors=load(tensors) if tensors else {},
            samples={name: list(values) for name, values in question.reply.samples.items()},
            numbers=question.reply.numbers,
        )
        return judge(variant, question.case, question.seed, measured)
    except Exception as error:  # noqa: BLE001 - a judge that fails must not end the run
        return Verdict(status=Status.HARNESS_ERROR, reason=f"the judge failed: {type(error).__name__}: {error}"[:4000])
