"""Imports plugins in a process of its own and says, one JSON line a plugin, what each declares.

Run as `python -m attnbench.registry.probe` with a `Request` on standard input. What plugins print goes to standard
error; the lines leave through the standard output that was there before any plugin was imported.
"""

import importlib
import os
import sys
from typing import Any

from attnbench.contract import Attention, Implementation, Reduction
from attnbench.facts import ImplementationFacts, VariantFacts
from attnbench.nouns import Dtype
from attnbench.registry.plugins import Declared, Plugin, Request, trouble


def main() -> None:
    """Answer a request."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for plugin in Request.model_validate_json(sys.stdin.read()).plugins:
        answers.write(inspect(plugin).model_dump_json() + "\n")
        answers.flush()


def inspect(plugin: Plugin) -> Declared:
    """Import one plugin and collect what its module declares; any trouble becomes a `Broken`."""
    try:
        return _collect(plugin, importlib.import_module(plugin.module))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may raise anything, SystemExit too, and must harm nobody
        return Declared(plugin=plugin, broken=trouble(plugin, error))


def _collect(plugin: Plugin, module: Any) -> Declared:
    things = [thing for thing in vars(module).values() if _home(thing) == plugin.module]
    classes = [thing for thing in things if isinstance(thing, type)]
    reductions = [thing for thing in things if isinstance(thing, Reduction)]
    variants = [_variant(plugin, cls, reductions) for cls in classes]
    declared = [thing.facts for thing in things if isinstance(thing, Implementation)]
    if not variants and not declared:
        raise TypeError(f"{plugin.module} declares no variant and no implementation")
    return Declared(
        plugin=plugin,
        variants=tuple(variants),
        implementations=(
            *(_reference(facts, plugin) for facts in variants),
            *(_stamp(facts, plugin) for facts in declared),
        ),
    )


def _home(thing: object) -> str | None:
    """Say in which module a declaration stands; None for anything that is none."""
    if isinstance(thing, Implementation):
        return thing.facts.module
    if isinstance(thing, Reduction):
        return thing.check.__module__
    if isinstance(thing, type) and issubclass(thing, Attention) and "facts" in vars(thing):
        return thing.__module__
    return None


def _variant(plugin: Plugin, cls: Any, reductions: list[Reduction]) -> VariantFacts:
    facts: VariantFacts = cls.facts
    own = tuple((one.name, one.says) for one in reductions if one.variant == facts.slug)
    return facts.model_copy(update={"reductions": own, "plugin": plugin.name})


def _reference(variant: VariantFacts, plugin: Plugin) -> ImplementationFacts:
    return ImplementationFacts(
        variant=variant.slug,
        name="reference",
        summary="The definition itself: slow, obvious, exact in float64.",
        module=variant.module,
        line=variant.line,
        plugin=plugin.name,
        distribution=f"{plugin.distribution} {plugin.version}",
        devices=frozenset({"cpu", "cuda"}),
        dtypes=frozenset(Dtype),
    )


def _stamp(facts: ImplementationFacts, plugin: Plugin) -> ImplementationFacts:
    return facts.model_copy(update={"plugin": plugin.name, "distribution": f"{plugin.distribution} {plugin.version}"})


if __name__ == "__main__":
    main()
