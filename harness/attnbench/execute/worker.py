"""The process that imports a plugin and measures it. It judges nothing and writes nothing but its connection."""

import importlib
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

import torch
from safetensors.torch import save

from attnbench.contract import Implementation, Reduction, Unsupported
from attnbench.execute.child import begin, definition, function
from attnbench.execute.messages import Began, Order, Reply, send
from attnbench.execute.subject import Measurement, Subject
from attnbench.facts import Case
from attnbench.nouns import Status

Measure = Callable[[Subject, Case, int, str], Measurement]


def main(connection: Connection, text: str) -> None:
    """Run an order: its cases one by one, each answered before the next one starts."""
    order = Order.model_validate_json(text)
    begin(order)
    measure: Measure = function(order.measure)  # binds timers before any plugin is imported
    try:
        subject = load(order)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything at import
        for index in range(len(order.job.cases)):
            send(connection, _failure(index, error), b"")
        return
    for index, case in enumerate(order.job.cases):
        send(connection, Began(case=index))
        seed, device = order.job.case_seed(case), order.job.device.kind
        reply, tensors = _answer(index, partial(measure, subject, case, seed, device))
        send(connection, reply, tensors)
    connection.poll(None)  # whoever ends this process, and not it alone, ends what it started too


def load(order: Order) -> Subject:
    """Import the variant's and the implementation's modules and pick out what the order names.

    Raises:
        LookupError: the module no longer declares what the plan found in it.
    """
    variant = definition(order)
    home = vars(importlib.import_module(order.variant.module)).values()
    reductions = tuple(one for one in home if isinstance(one, Reduction) and one.variant == order.variant.slug)
    core: Callable[..., object] = variant.mix
    if not order.implementation.is_reference:
        module = vars(importlib.import_module(order.implementation.module)).values()
        declared = (one for one in module if isinstance(one, Implementation))
        named = next((one for one in declared if one.facts.key == order.implementation.key), None)
        if named is None:
            raise LookupError(f"{order.implementation.module} no longer declares {order.implementation.key}")
        core = named.mix
    return Subject(variant, order.variant, order.implementation, core, reductions)


def _answer(index: int, run: Callable[[], Measurement]) -> tuple[Reply, bytes]:
    try:
        measured = run()
        blob = save({name: one.detach().cpu().contiguous().clone() for name, one in measured.tensors.items()})
        samples = {name: tuple(values) for name, values in measured.samples.items()}
        return Reply(case=index, status=Status.PASSED, samples=samples, numbers=measured.numbers), blob
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises becomes the status of its case
        return _failure(index, error), b""


def _failure(index: int, error: Exception) -> Reply:
    """Name the status that an exception means."""
    text = f"{type(error).__name__}: {error}"
    compiler = type(error).__module__.startswith(
        ("torch._dynamo", "torch._inductor", "triton.compiler", "triton.runtime")
    )
    if isinstance(error, Unsupported):
        status, text = Status.UNSUPPORTED, str(error)
    elif isinstance(error, torch.OutOfMemoryError):
        status = Status.OUT_OF_DEVICE_MEMORY
    elif isinstance(error, MemoryError) or "DefaultCPUAllocator" in text:
        status = Status.OUT_OF_HOST_MEMORY
    elif compiler:
        status = Status.COMPILE_ERROR
    else:
        status = Status.CRASHED
    return Reply(case=index, status=status, reason=text[:4000])
