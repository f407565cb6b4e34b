"""Runs a plan on this machine: one device after the other, each held by a lock, its jobs in the plan's order."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from queue import Queue
from threading import Event

from attnbench.devices import locked
from attnbench.execute.job import Job
from attnbench.execute.local import execute
from attnbench.execute.process import Stopped
from attnbench.record import Record
from attnbench.registry.registry import Registry


def run(jobs: Sequence[Job], registry: Registry) -> Generator[Record]:
    """Run jobs and yield each result as soon as it is judged; closing the iterator ends every process.

    Raises:
        UserError: a device is held by another run, or an implementation changed since it was planned.
    """
    for device, of_device in groupby(jobs, key=lambda job: job.device):
        with locked(device):
            for _, of_suite in groupby(of_device, key=lambda job: job.suite):
                batch = list(of_suite)
                width = 1 if registry.suite(batch[0].suite).exclusive or device.kind == "cuda" else device.threads
                yield from _side_by_side(batch, registry, width)


def _side_by_side(jobs: Sequence[Job], registry: Registry, width: int) -> Iterator[Record]:
    """Run jobs in `width` threads, each of which waits for one worker at a time."""
    stop = Event()
    results: Queue[Record | BaseException | None] = Queue()

    def one(job: Job) -> None:
        try:
            for record in execute(job, registry, stop):
                results.put(record)
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised again in the main thread
            results.put(error)
        finally:
            results.put(None)

    with ThreadPoolExecutor(max_workers=width) as pool:
        futures = [pool.submit(one, job) for job in jobs]
        try:
            left = len(jobs)
            while left:
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    left -= 1
                else:
                    yield result
        finally:
            stop.set()
            for future in futures:
                future.cancel()
