"""What worker, judge and parent say to each other: JSON of known types, and tensors without pickle. Free of torch."""

from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import TypeVar

from pydantic import Field

from attnbench.execute.job import Job
from attnbench.facts import Case, Facts, ImplementationFacts, VariantFacts
from attnbench.nouns import Status

F = TypeVar("F", bound=Facts)
HEADER_BYTES = 32 * 2**20
TENSOR_BYTES = 2**30


class Order(Facts):
    """What a worker or judge is started with."""

    job: Job
    variant: VariantFacts
    implementation: ImplementationFacts
    measure: str
    judge: str
    log: str


class Began(Facts):
    """The worker starts a case; a worker that dies or stalls from here on costs this case."""

    case: int


class Reply(Facts):
    """How a case ended in the worker. Its tensors follow as one message of safetensors bytes.

    Attributes:
        status: `passed` says that it was measured, and is for the judge to decide; anything else is final.
    """

    case: int
    status: Status
    reason: str = Field(default="", max_length=4000)
    samples: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    numbers: Mapping[str, float] = Field(default_factory=dict)


class Question(Facts):
    """What the judge is asked about a case. The tensors follow."""

    case: Case
    seed: int
    reply: Reply


def send(connection: Connection, message: Facts, tensors: bytes | None = None) -> None:
    """Send a message, and its tensors where the message has some."""
    connection.send_bytes(type(message).__name__.encode() + b" " + message.model_dump_json().encode())
    if tensors is not None:
        connection.send_bytes(tensors)


def receive(connection: Connection, *kinds: type[F]) -> F:
    """Receive one message of the given kinds.

    Raises:
        EOFError: the other side is gone.
        OSError: the message is larger than allowed.
        ValueError: it is of no known kind, or does not fit it.
    """
    name, _, text = connection.recv_bytes(HEADER_BYTES).partition(b" ")
    for kind in kinds:
        if name == kind.__name__.encode():
            return kind.model_validate_json(text)
    raise ValueError(f"unexpected message {name[:40]!r}")
