"""What `check`, `run` and `demo` share: running a plan with a progress bar."""

import math
import time
from collections.abc import Callable

from attnbench.cli.output import errors, progress
from attnbench.nouns import Status
from attnbench.plan import Plan
from attnbench.record import Record
from attnbench.registry.registry import Registry
from attnbench.running import run

FINE = frozenset({Status.PASSED, Status.UNSUPPORTED})


def work(
    plan: Plan,
    registry: Registry,
    title: str,
    keep: Callable[[Record], object],
    seconds: float = math.inf,
) -> list[Record]:
    """Run a plan, hand each record to `keep` at once, and show how far it is.

    When `seconds` have passed, or on Ctrl-C, the workers end and what was kept stays; a Ctrl-C is raised again.
    """
    end = time.monotonic() + seconds
    records: list[Record] = []
    with progress() as bar:
        task = bar.add_task(title, total=plan.cases)
        results = run(plan.jobs, registry)
        try:
            for record in results:
                keep(record)
                records.append(record)
                if time.monotonic() > end:
                    results.close()
                    break
                bar.update(task, advance=1, description=f"{title} {record.variant}/{record.implementation}")
        except KeyboardInterrupt:
            results.close()
            errors.print(
                f"\nstopped: {len(records)} of {plan.cases} results are kept; the same command goes on from here"
            )
            raise
    return records


def blame(record: Record) -> str:
    """Say in one paragraph what a failed result is, and how to see it again."""
    where = f"{record.variant}/{record.implementation}  {record.case.id}"
    again = f"attnbench check {record.variant}/{record.implementation} --profile {record.case.profile}"
    again += f" --device {record.device.id} --seed {record.provenance.seed} --case '{record.case.id}'"
    return f"{where}\n  {record.status}: {record.reason}\n  again: {again}"
