"""The unit of work: one implementation, one suite, one device, and its cases. Plain data, free of torch."""

import hashlib

from pydantic import Field

from attnbench.facts import Case, DeviceFacts, Facts, Slug


class Job(Facts):
    """What one worker process is asked to do. Runs anywhere that has the same plugins installed.

    Attributes:
        source_hash: the implementation's sources at the time of planning; a worker with other sources refuses.
        threads: CPU threads to compute with.
        seed: the run's secret; inputs derive from it and the case's id.
    """

    variant: Slug
    implementation: Slug
    source_hash: str
    suite: Slug
    device: DeviceFacts
    threads: int = Field(ge=1)
    seed: int = Field(ge=0, lt=2**53)
    cases: tuple[Case, ...] = Field(min_length=1)

    def case_seed(self, case: Case) -> int:
        """Return the seed of one case: the same wherever and in whatever order it runs."""
        return int(hashlib.sha256(f"{self.seed}:{case.id}".encode()).hexdigest()[:13], 16)
