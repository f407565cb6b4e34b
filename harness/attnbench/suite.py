"""What a suite is to the harness: cases as data, code that measures, and one judge. Free of torch.

`measure` and `judge` are named as `module:function` and imported only in the processes that run them: the worker,
which also imports the plugin under test, and the judge, which imports nothing of it but the variant's definition.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import Field

from attnbench.facts import Case, Facts, ImplementationFacts, VariantFacts
from attnbench.nouns import Profile, Status

Planner = Callable[[VariantFacts, ImplementationFacts, str, Profile], Sequence[Case]]


class Metric(Facts):
    """One measured number: a value, its unit, and its 95 % interval where it has one."""

    value: float
    unit: str = Field(max_length=24)
    low: float | None = None
    high: float | None = None


class Verdict(Facts):
    """What the judge says of one case."""

    status: Status
    reason: str = Field(default="", max_length=4000)
    metrics: Mapping[str, Metric] = Field(default_factory=dict)

    @classmethod
    def passed(cls, **metrics: Metric) -> "Verdict":
        """The case is right; these are its numbers."""
        return cls(status=Status.PASSED, metrics=metrics)

    @classmethod
    def wrong(cls, reason: str, **metrics: Metric) -> "Verdict":
        """The case is wrong, for the reason given."""
        return cls(status=Status.WRONG, reason=reason, metrics=metrics)


@dataclass(frozen=True)
class Suite:
    """A family of cases and the judge that runs them.

    Attributes:
        name: the suite's name.
        version: raised when a case or a rule of judging changes; results of different versions never mix.
        summary: one line for users.
        cases: (variant, implementation, device kind, profile) -> the cases of that profile and those below it.
        measure: `module:function` of (Subject, Case, seed, device) -> Measurement, run in the worker.
        judge: `module:function` of (variant class, Case, seed, Measurement) -> Verdict, run in the judge.
        exclusive: whether a case needs the device for itself because it is timed.
        gates: whether a pass here is what lets other suites' results be ranked.
        per_variant: whether one implementation speaks for the variant, because the result is the mechanism's.
    """

    name: str
    version: int
    summary: str
    cases: Planner
    measure: str
    judge: str
    exclusive: bool = False
    gates: bool = False
    per_variant: bool = False
