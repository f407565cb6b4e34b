"""The latency suite's smoke cases under asv: our timer and our judge, asv's history and comparison.

A case that does not pass has no number, so that asv shows it as failed with the judge's reason.
"""

import secrets
from threading import Event

from attnbench.devices import discover
from attnbench.execute.job import Job
from attnbench.execute.local import execute
from attnbench.facts import Case
from attnbench.nouns import Profile, Status
from attnbench.record import Record
from attnbench.registry.registry import load
from attnbench_suites.latency.cases import Direction, cases

DEVICE = discover()[0]


def smoke_case(key: str, direction: str) -> Case | None:
    """Return an implementation's first smoke case in a direction, or None where it has none."""
    implementation = load().implementation(key)
    planned = cases(load().variant(implementation.variant), implementation, DEVICE.kind, Profile.SMOKE)
    return next((case for case in planned if case.kind == direction), None)


def record(key: str, case: Case) -> Record:
    """Run one case in a worker of its own.

    Raises:
        RuntimeError: it did not pass.
    """
    implementation = load().implementation(key)
    job = Job(
        variant=implementation.variant,
        implementation=implementation.name,
        source_hash=implementation.source_hash,
        suite=case.suite,
        device=DEVICE,
        threads=DEVICE.threads,
        seed=secrets.randbelow(2**53),
        cases=(case,),
    )
    found = next(execute(job, load(), Event()))
    if found.status is not Status.PASSED:
        raise RuntimeError(f"{found.status}: {found.reason}")
    return found


class Latency:
    """Time of one call, and how often it fits into the baseline's time."""

    param_names = ("implementation", "direction")
    params = (
        [one.key for variant in load().variants.values() for one in variant.implementations],
        [direction.value for direction in Direction],
    )
    timeout = 300.0

    def setup(self, key: str, direction: str) -> None:
        """Find the case; asv skips parameters that have none."""
        case = smoke_case(key, direction)
        if case is None:
            raise NotImplementedError
        self.case = case

    def track_latency(self, key: str, direction: str) -> float:
        """Return the median latency."""
        del direction
        return record(key, self.case).metrics["latency"].value

    def track_ratio(self, key: str, direction: str) -> float:
        """Return the baseline's time over the implementation's."""
        del direction
        return record(key, self.case).metrics["ratio"].value


Latency.track_latency.unit = "seconds"  # type: ignore[attr-defined]  # asv reads a function's attribute
Latency.track_ratio.unit = "x"  # type: ignore[attr-defined]
