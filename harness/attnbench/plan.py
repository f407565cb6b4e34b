"""Decides what to run: suites x implementations x devices, less what the store already has. Free of torch."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attnbench import environment
from attnbench.errors import UserError
from attnbench.execute.job import Job
from attnbench.facts import Case, DeviceFacts, Facts, ImplementationFacts, VariantFacts
from attnbench.nouns import Profile, Status
from attnbench.record import identity
from attnbench.registry.registry import Registry
from attnbench.suite import Suite


class Skip(Facts):
    """Cases that a plan leaves out, and why."""

    implementation: str
    suite: str
    device: str
    cases: int
    reason: str


@dataclass(frozen=True)
class Plan:
    """What will run, in this order, and what will not.

    Attributes:
        jobs: gating suites first, so that what follows can be ranked; then those that need a device for themselves.
        skipped: what is left out.
    """

    jobs: tuple[Job, ...]
    skipped: tuple[Skip, ...]

    @property
    def cases(self) -> int:
        """How many results the plan will bring."""
        return sum(len(job.cases) for job in self.jobs)


@dataclass(frozen=True)
class Wish:
    """What a user asked for.

    Attributes:
        implementations: what to run, from `targets`.
        suites: which suites; none for all.
        devices: where.
        profile: how much.
        seed: the run's secret.
        present: results that are there already, by identity.
        retry: statuses to run again although they are there.
        case: the id of a single case, or None for all.
    """

    implementations: Sequence[ImplementationFacts]
    suites: Sequence[str]
    devices: Sequence[DeviceFacts]
    profile: Profile
    seed: int
    present: Mapping[str, Status] = field(default_factory=dict)
    retry: Collection[Status] = (Status.HARNESS_ERROR,)
    case: str | None = None


def targets(registry: Registry, names: Sequence[str], only: str | None = None) -> list[ImplementationFacts]:
    """Return the implementations that a user named: `variant`, `variant/implementation`, a mechanism, or none for all.

    Args:
        registry: what there is.
        names: what the user wrote.
        only: an implementation name to keep, where given.

    Raises:
        UserError: a name that nothing carries.
    """
    found: list[ImplementationFacts] = []
    for name in names or registry.variants:
        if "/" in name:
            found.append(registry.implementation(name))
            continue
        carrier = registry.catalogue().get(name)
        chosen = (carrier.implementation if carrier and name not in registry.variants else None) or only
        variant = registry.variant(name)
        if chosen and names:
            found.append(registry.implementation(f"{variant.slug}/{chosen}"))
        else:
            found.extend(one for one in variant.implementations if only in {None, one.name})
    if not found:
        raise UserError(f"no variant has an implementation {only!r}: see `attnbench list`")
    return list(dict.fromkeys(found))


def plan(registry: Registry, wish: Wish) -> Plan:
    """Plan a run.

    Raises:
        UserError: an unknown suite, or a case that no implementation has.
    """
    suites = [registry.suite(name) for name in wish.suites] or list(registry.suites.values())
    suites.sort(key=lambda suite: (not suite.gates, not suite.exclusive, suite.name))
    jobs: list[Job] = []
    skipped: list[Skip] = []
    for device in wish.devices:
        for suite in suites:
            for variant, implementation in _subjects(registry, wish.implementations, suite, device):
                job, skips = _job(suite, variant, implementation, device, wish)
                jobs.extend(job)
                skipped.extend(skips)
    if wish.case and not jobs and not any(one.reason == PRESENT for one in skipped):
        raise UserError(f"no case {wish.case!r} at profile {wish.profile}: ids stand in `attnbench check --json`")
    return Plan(tuple(jobs), tuple(skipped))


PRESENT = "the store has them already"


def _subjects(
    registry: Registry, implementations: Sequence[ImplementationFacts], suite: Suite, device: DeviceFacts
) -> Iterator[tuple[VariantFacts, ImplementationFacts]]:
    """Pair implementations with their variants; a suite that trains takes one a variant, its author's first choice."""
    for slug in dict.fromkeys(one.variant for one in implementations):
        able = [one for one in implementations if one.variant == slug and device.kind in one.devices]
        if suite.per_variant:
            able = sorted((one for one in able if not one.is_reference), key=lambda one: (one.plugin, one.line))[:1]
        for one in able:
            yield registry.variants[slug], one


def _job(
    suite: Suite, variant: VariantFacts, implementation: ImplementationFacts, device: DeviceFacts, wish: Wish
) -> tuple[list[Job], list[Skip]]:
    cases = [
        case for case in suite.cases(variant, implementation, device.kind, wish.profile) if wish.case in {None, case.id}
    ]
    is_new = _novelty(implementation, device, wish)
    new = tuple(case for case in cases if is_new(case))
    skips = []
    if len(new) < len(cases):
        known = len(cases) - len(new)
        skips = [
            Skip(implementation=implementation.key, suite=suite.name, device=device.id, cases=known, reason=PRESENT)
        ]
    if not new:
        return [], skips
    job = Job(
        variant=variant.slug,
        implementation=implementation.name,
        source_hash=implementation.source_hash,
        suite=suite.name,
        device=device,
        threads=device.threads if suite.exclusive or device.kind == "cuda" else 1,
        seed=wish.seed,
        cases=new,
    )
    return [job], skips


def _novelty(implementation: ImplementationFacts, device: DeviceFacts, wish: Wish) -> Callable[[Case], bool]:
    software = environment.current()

    def is_new(case: Case) -> bool:
        key = identity(implementation.key, implementation.source_hash, case, device, software)
        return wish.present.get(key) in {None, *wish.retry}

    return is_new
