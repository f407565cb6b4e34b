"""Accuracy: every variant trained inside the same small models, on tasks whose data is made on the fly.

Planning is free of torch; what trains and what judges are imported only where they run.
"""

from collections.abc import Iterator

from attnbench.facts import Case, ImplementationFacts, VariantFacts
from attnbench.nouns import Dtype, Profile
from attnbench.suite import Suite
from attnbench_suites.accuracy.sizes import PLANS, Plan, Size


def cases(
    variant: VariantFacts, implementation: ImplementationFacts, device_kind: str, profile: Profile
) -> tuple[Case, ...]:
    """Plan the trainings of an implementation: every task that its variant can be posed, at every size asked for.

    The definition itself is never trained: it is a slow loop. Neither is a variant that requires extra inputs, which
    no task here has.
    """
    runs = device_kind in implementation.devices and Dtype.FLOAT32 in implementation.dtypes
    if implementation.is_reference or variant.requires or not runs:
        return ()
    return tuple(
        case
        for task, plan in PLANS.items()
        if variant.layout in plan.extents and plan.pattern in variant.patterns
        for size in plan.sizes
        if profile.covers(size.profile)
        for case in _repetitions(task, plan, size, variant)
    )


def _repetitions(task: str, plan: Plan, size: Size, variant: VariantFacts) -> Iterator[Case]:
    """One case for each set of hyperparameters, learning rate and seed."""
    for settings in variant.settings_for(SUITE.name):
        for rate in size.rates:
            for seed in range(size.seeds):
                yield Case(
                    suite=SUITE.name,
                    version=SUITE.version,
                    kind=task,
                    layout=variant.layout,
                    pattern=plan.pattern,
                    dtype=Dtype.FLOAT32,
                    shape={**plan.extents[variant.layout], **size.shape},
                    settings=settings,
                    options={**size.options, "lr": rate, "seed": seed},
                    profile=size.profile,
                    seconds=size.seconds,
                )


SUITE = Suite(
    name="accuracy",
    version=1,
    summary="each variant trained inside small models, scored on data that they never saw",
    cases=cases,
    measure="attnbench_suites.accuracy.measure:measure",
    judge="attnbench_suites.accuracy.judge:judge",
    per_variant=True,
)
