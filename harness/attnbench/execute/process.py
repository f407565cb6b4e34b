"""A fresh process at the other end of a private connection, and the certainty that it ends. Free of torch."""

import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from threading import Event, Timer

import psutil

from attnbench.execute.messages import Order

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["attnbench.execute.preload"])
POLL_SECONDS = 0.2
GRACE_SECONDS = 2.0


class Stopped(Exception):  # noqa: N818 - the user's wish, not a fault
    """The run was asked to stop while a process was at work."""


def enter(module: str, connection: Connection, order: str) -> None:
    """Run `main` of a module in the new process; named by text, so that the parent need not import it."""
    main: Callable[[Connection, str], None] = importlib.import_module(module).main
    main(connection, order)


class Child:
    """One process forked from the clean server, with a connection that only we and it hold."""

    def __init__(self, module: str, order: Order) -> None:
        self.connection, theirs = CONTEXT.Pipe()
        arguments = (module, theirs, order.model_dump_json())
        self.process: ForkServerProcess = CONTEXT.Process(target=enter, args=arguments, daemon=True)
        self.process.start()
        theirs.close()

    def ready(self, deadline: float, stop: Event) -> bool:
        """Wait until the process says something or ends; False when the deadline (monotonic seconds) passes first.

        Raises:
            Stopped: the run is to end.
        """
        while True:
            if stop.is_set():
                raise Stopped
            left = deadline - time.monotonic()
            if wait([self.connection, self.process.sentinel], timeout=max(0.0, min(left, POLL_SECONDS))):
                return True
            if left <= 0:
                return False

    def ending(self) -> str:
        """Say how a process that ended did so."""
        self.process.join(GRACE_SECONDS)
        code = self.process.exitcode
        if code is None:
            return "it closed its connection and went on"
        if code < 0:
            return f"it was ended by signal {signal.Signals(-code).name}"
        return f"it ended with exit status {code}"

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound the time of a block that reads or writes the connection; past it the process is ended.

        Raises:
            TimeoutError: the block failed because the time was over.
        """
        late = Event()

        def end() -> None:
            late.set()
            self._signal(signal.SIGKILL)

        timer = Timer(seconds, end)
        timer.start()
        try:
            yield
        except (EOFError, OSError):
            if late.is_set():
                raise TimeoutError(f"a message took more than {seconds:g} s") from None
            raise
        finally:
            timer.cancel()

    def kill(self) -> None:
        """End the process, its group and its descendants: politely, then for certain."""
        family = self._descendants()
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            self.process.join(GRACE_SECONDS if number == signal.SIGTERM else None)
        for one in family:  # those that left the group
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self.connection.close()

    def _signal(self, number: int) -> None:
        if self.process.pid is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:  # in case it had no time to found its group
            self.process.kill()

    def _descendants(self) -> list[psutil.Process]:
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
