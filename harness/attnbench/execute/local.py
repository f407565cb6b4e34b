"""Runs one job on this machine: a fresh worker, a fresh judge, and a parent that survives both. Free of torch."""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from attnbench import __version__, environment
from attnbench.errors import UserError
from attnbench.execute.job import Job
from attnbench.execute.log import plain, tail
from attnbench.execute.messages import TENSOR_BYTES, Began, Order, Question, Reply, receive, send
from attnbench.execute.process import Child
from attnbench.facts import Case
from attnbench.nouns import Status
from attnbench.record import Provenance, Record
from attnbench.registry.registry import Registry
from attnbench.suite import Verdict

LOADING_SECONDS = 120.0
MESSAGE_SECONDS = 60.0
JUDGING_SECONDS = 180.0


def execute(job: Job, registry: Registry, stop: Event) -> Iterator[Record]:
    """Run a job's cases and yield one record for each, as soon as it is judged.

    Raises:
        UserError: this machine's implementation is not the one that was planned.
        Stopped: the run is to end; the case in flight is lost, those yielded are not.
    """
    implementation = registry.implementation(f"{job.variant}/{job.implementation}")
    if implementation.source_hash != job.source_hash:
        raise UserError(f"{implementation.key} changed since this job was planned: plan it again with `attnbench run`")
    suite = registry.suite(job.suite)
    with tempfile.TemporaryDirectory(prefix="attnbench-", ignore_cleanup_errors=True) as folder:
        order = Order(
            job=job,
            variant=registry.variant(job.variant),
            implementation=implementation,
            measure=suite.measure,
            judge=suite.judge,
            log=str(Path(folder) / "log"),
        )
        judge = Judge(order, stop)
        left = job.cases
        try:
            while left:  # a worker that ended leaves its other cases to the next one
                for record in _one_worker(order, left, judge, stop):
                    yield record
                    left = left[1:]
        finally:
            judge.close()


def _one_worker(order: Order, cases: tuple[Case, ...], judge: "Judge", stop: Event) -> Iterator[Record]:
    """Run a worker until it has answered all cases, or one of them has cost its life."""
    worker = Worker(order.model_copy(update={"job": order.job.model_copy(update={"cases": cases})}), stop)
    try:
        for index, case in enumerate(cases):
            answer = worker.answer(index)
            if isinstance(answer, Verdict):
                lost = cases[index:] if worker.began is None else (case,)
                yield from (worker.record(one, answer) for one in lost)
                return
            reply, tensors = answer
            yield worker.record(case, judge.ask(case, reply, tensors), reply)
    finally:
        worker.child.kill()


class Worker:
    """A process that measures.

    Attributes:
        began: the case that it is at; None while it loads: what ends it then would end it for every case.
    """

    def __init__(self, order: Order, stop: Event) -> None:
        self.order, self.stop = order, stop
        self.child = Child("attnbench.execute.worker", order)
        self.began: int | None = None
        self._begin(LOADING_SECONDS)

    def answer(self, index: int) -> tuple[Reply, bytes] | Verdict:
        """Wait for the reply to a case and its tensors; a verdict says that the process is gone, and why."""
        while self.child.ready(self.clock + self.limit, self.stop):
            try:
                with self.child.within(MESSAGE_SECONDS):
                    answer = self._receive(index)
                if answer is not None:
                    return answer
            except EOFError:
                return Verdict(status=Status.CRASHED, reason=f"the worker died: {self.child.ending()}")
            except TimeoutError as error:
                return Verdict(status=Status.TIMED_OUT, reason=str(error))
            except (OSError, ValueError) as error:
                return Verdict(status=Status.REJECTED, reason=f"its answer was refused: {error}"[:4000])
        return Verdict(status=Status.TIMED_OUT, reason=f"no answer within {self.limit:g} s")

    def _receive(self, index: int) -> tuple[Reply, bytes] | None:
        """Read one message; None where it only says that the case began."""
        message = receive(self.child.connection, Began, Reply)
        if isinstance(message, Reply) and message.case == index:
            return message, self.child.connection.recv_bytes(TENSOR_BYTES)
        if isinstance(message, Began) and message.case == index and self.began != index:
            self.began = index
            self._begin(self.order.job.cases[index].seconds)
            return None
        raise ValueError("it spoke of another case")

    def record(self, case: Case, verdict: Verdict, reply: Reply | None = None) -> Record:
        """Make the record of a case from its verdict and its raw samples."""
        job = self.order.job
        head, dirty = environment.commit()
        return Record(
            variant=job.variant,
            implementation=job.implementation,
            distribution=self.order.implementation.distribution,
            source_hash=job.source_hash,
            case=case,
            device=job.device,
            environment=environment.current(),
            status=verdict.status,
            reason=plain(verdict.reason)[:4000],
            metrics=verdict.metrics,
            samples=reply.samples if reply else {},
            provenance=Provenance(
                attnbench=__version__,
                commit=head,
                dirty=dirty,
                seed=job.seed,
                started=self.started,
                seconds=time.monotonic() - self.clock,
                threads=job.threads,
                log="" if verdict.status is Status.PASSED else tail(Path(self.order.log)),
            ),
        )

    def _begin(self, limit: float) -> None:
        self.started, self.clock, self.limit = datetime.now(UTC), time.monotonic(), limit


class Judge:
    """A process that judges, started when the first case was measured."""

    def __init__(self, order: Order, stop: Event) -> None:
        self.order, self.stop = order, stop
        self.child: Child | None = None

    def ask(self, case: Case, reply: Reply, tensors: bytes) -> Verdict:
        """Return the verdict on a case: the worker's own word where it did not measure, else the judge's."""
        if reply.status is not Status.PASSED:
            return Verdict(status=reply.status, reason=reply.reason)
        if self.child is None:
            self.child = Child("attnbench.execute.judge", self.order)
        try:
            question = Question(case=case, seed=self.order.job.case_seed(case), reply=reply)
            with self.child.within(JUDGING_SECONDS):
                send(self.child.connection, question, tensors)
            if not self.child.ready(time.monotonic() + JUDGING_SECONDS, self.stop):
                return self._failed(f"the judge took more than {JUDGING_SECONDS:g} s")
            with self.child.within(MESSAGE_SECONDS):
                return receive(self.child.connection, Verdict)
        except (EOFError, OSError, ValueError) as error:
            return self._failed(f"the judge gave no verdict: {str(error) or self.child.ending()}")

    def close(self) -> None:
        """End the process."""
        if self.child is not None:
            self.child.kill()
            self.child = None

    def _failed(self, reason: str) -> Verdict:
        self.close()
        return Verdict(status=Status.HARNESS_ERROR, reason=reason[:4000])
