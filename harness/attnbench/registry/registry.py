"""All variants, implementations and suites of this environment: typed, frozen after load, free of torch."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from platformdirs import user_cache_path
from pydantic import TypeAdapter, ValidationError

from attnbench.errors import unknown
from attnbench.facts import Facts, ImplementationFacts, VariantFacts
from attnbench.registry.catalogue import Entry, mechanisms
from attnbench.registry.locate import source_hash
from attnbench.registry.plugins import Broken, Declared, Plugin, Request, file_of, installed, plugin_of, points, trouble
from attnbench.suite import Suite

F = TypeVar("F", VariantFacts, ImplementationFacts)
PROBE_SECONDS = 300
_ANSWERS = TypeAdapter(tuple[Declared, ...])


class Carrier(Facts):
    """What carries a mechanism of the catalogue: a variant, or one implementation of it."""

    variant: str
    implementation: str | None = None


@dataclass(frozen=True)
class Registry:
    """What this environment holds.

    Attributes:
        variants: by slug, in alphabetical order, each with its implementations, `reference` first.
        suites: by name.
        broken: plugins that were left out, each with the reason.
    """

    variants: Mapping[str, VariantFacts]
    suites: Mapping[str, Suite]
    broken: tuple[Broken, ...]

    @property
    def gates(self) -> frozenset[str]:
        """Names of the suites whose passes let others' results be ranked."""
        return frozenset(suite.name for suite in self.suites.values() if suite.gates)

    def variant(self, slug: str) -> VariantFacts:
        """Return a variant by its slug or by a mechanism that it carries.

        Raises:
            UserError: nothing carries the name.
        """
        carrier = self.catalogue().get(slug)
        found = self.variants.get(slug) or (self.variants.get(carrier.variant) if carrier else None)
        if found is None:
            raise unknown("variant", slug, [*self.variants, *(key for key, by in self.catalogue().items() if by)])
        return found

    def implementation(self, key: str) -> ImplementationFacts:
        """Return an implementation by its key, `variant/name`.

        Raises:
            UserError: there is no such variant or implementation.
        """
        slug, _, name = key.partition("/")
        variant = self.variant(slug)
        found = variant.implementation(name)
        if found is None:
            raise unknown(f"implementation of {variant.slug}", name, [one.name for one in variant.implementations])
        return found

    def suite(self, name: str) -> Suite:
        """Return a suite by name.

        Raises:
            UserError: there is no such suite.
        """
        if name not in self.suites:
            raise unknown("suite", name, self.suites)
        return self.suites[name]

    def catalogue(self) -> Mapping[str, Carrier | None]:
        """Return, for each mechanism of the catalogue, what carries it; None where nothing does yet."""
        carried = {name: Carrier(variant=one.slug) for one in self.variants.values() for name in one.mechanisms}
        for one in self.variants.values():
            for implementation in one.implementations:
                if implementation.mechanism:
                    carried[implementation.mechanism] = Carrier(variant=one.slug, implementation=implementation.name)
        return {slug: carried.get(slug) for slug in mechanisms()}

    def entry(self, slug: str) -> Entry | None:
        """Return the catalogue entry that brings a mechanism, or None."""
        found = mechanisms().get(slug)
        return found[1] if found else None


@cache
def load() -> Registry:
    """Load the registry of this environment. Plugins are imported in another process, and only when they changed."""
    declared = _declared(installed())
    broken = [one.broken for one in declared if one.broken]
    variants, refused = _assemble(declared)
    suites, failed = _suites()
    return Registry(MappingProxyType(variants), MappingProxyType(suites), (*broken, *refused, *failed))


def _declared(plugins: Sequence[Plugin]) -> tuple[Declared, ...]:
    """Ask the probe, or its cached answer where no plugin's source changed."""
    if not plugins:
        return ()
    content = "".join(plugin.digest() + source_hash([plugin.module]) for plugin in plugins)
    content += source_hash(["attnbench.contract", "attnbench.registry.probe"])
    path = user_cache_path("attnbench") / f"registry-{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
    cached = _cached(path)
    if cached is not None:
        return cached
    answers = probe(plugins)
    if not any(one.broken for one in answers):  # a missing package may be there next time
        _remember(path, answers)
    return answers


def _cached(path: Path) -> tuple[Declared, ...] | None:
    try:
        return _ANSWERS.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _remember(path: Path, answers: tuple[Declared, ...]) -> None:
    """Keep the answer for the next process. A cache folder that cannot be written only costs that process time."""
    temporary = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_ANSWERS.dump_json(answers))
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def probe(plugins: Sequence[Plugin]) -> tuple[Declared, ...]:
    """Import plugins in fresh processes. One that ends or stalls its process is named, and the rest goes on."""
    answers: list[Declared] = []
    while len(answers) < len(plugins):
        waiting = plugins[len(answers) :]
        lines, ending = _ask(waiting)
        answers.extend(Declared.model_validate_json(line) for line in lines)
        if len(lines) < len(waiting):
            culprit = plugins[len(answers)]
            trouble = Broken(plugin=culprit.label, file=file_of(culprit), line=0, message=f"importing it {ending}")
            answers.append(Declared(plugin=culprit, broken=trouble))
    return tuple(answers)


def _ask(plugins: Sequence[Plugin]) -> tuple[list[bytes], str]:
    command = [sys.executable, "-m", "attnbench.registry.probe"]
    request = Request(plugins=tuple(plugins)).model_dump_json().encode()
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, input=request, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as stalled:
        return (stalled.stdout or b"").splitlines(), f"took more than {PROBE_SECONDS} s"
    return done.stdout.splitlines(), f"ended its process with status {done.returncode}"


def _assemble(declared: Iterable[Declared]) -> tuple[dict[str, VariantFacts], list[Broken]]:
    """Join variants with their implementations; refuse a name that is taken and an implementation of nothing."""
    variants: dict[str, VariantFacts] = {}
    implementations: dict[str, ImplementationFacts] = {}
    homes: dict[str, Plugin] = {}
    refused: list[Broken] = []
    for one in declared:
        taken = _claim(one.plugin, [(facts.slug, facts) for facts in one.variants], variants, refused)
        own = [(facts.key, facts) for facts in one.implementations if facts.variant not in taken]
        _claim(one.plugin, own, implementations, refused)
        homes |= {key: one.plugin for key, _ in own if key not in homes}
    for key, facts in implementations.items():
        if facts.variant not in variants:
            refused.append(_refusal(homes[key], facts, str(unknown("variant", facts.variant, variants))))
    return {slug: _complete(variants[slug], implementations.values()) for slug in sorted(variants)}, refused


def _claim(plugin: Plugin, named: Sequence[tuple[str, F]], owners: dict[str, F], refused: list[Broken]) -> set[str]:
    """Enter a plugin's declarations under their names; refuse the names that are taken, and return them."""
    taken = set()
    for name, facts in named:
        if name in owners:
            owner = owners[name]
            refused.append(_refusal(plugin, facts, f"{name} is taken by {owner.module}:{owner.line}"))
            taken.add(name)
        else:
            owners[name] = facts
    return taken


def _refusal(plugin: Plugin, facts: VariantFacts | ImplementationFacts, message: str) -> Broken:
    return Broken(plugin=plugin.label, file=file_of(plugin), line=facts.line, message=message)


def _complete(variant: VariantFacts, implementations: Iterable[ImplementationFacts]) -> VariantFacts:
    own = [one for one in implementations if one.variant == variant.slug]
    hashed = [
        one.model_copy(update={"source_hash": source_hash({one.module, variant.module})})
        for one in sorted(own, key=lambda one: (not one.is_reference, one.name))
    ]
    return variant.model_copy(update={"implementations": tuple(hashed)})


def _suites() -> tuple[dict[str, Suite], list[Broken]]:
    suites: dict[str, Suite] = {}
    broken: list[Broken] = []
    for point in points("attnbench.suites"):
        plugin = plugin_of(point).model_copy(update={"module": point.module})
        try:
            suite = point.load()
            if not isinstance(suite, Suite):
                raise TypeError(f"{point.value} is no Suite")
            if suite.name in suites:
                raise ValueError(f"suite {suite.name} is taken")
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a suite plugin may raise anything
            broken.append(trouble(plugin, error))
        else:
            suites[suite.name] = suite
    return suites, broken
