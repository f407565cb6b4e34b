"""`attnbench list`: what there is."""

from rich.table import Table

from attnbench.cli.options import Json
from attnbench.cli.output import console, emit, left_out
from attnbench.facts import VariantFacts
from attnbench.nouns import Fidelity
from attnbench.registry.registry import Registry, load


def list_(json: Json = False) -> None:
    """List the variants with their implementations, and how much of the catalogue they carry.

    Example: [bold]attnbench list --json | jq '.catalogue'[/bold]
    """
    registry = load()
    if json:
        emit(_data(registry))
        return
    table = Table(title="Variants", title_justify="left", header_style="bold")
    for heading in ("variant", "family", "layout", "patterns", "implementations", "year"):
        table.add_column(heading)
    for one in registry.variants.values():
        mark = " [yellow](reconstruction)[/yellow]" if one.fidelity is Fidelity.RECONSTRUCTED else ""
        names = ", ".join(implementation.name for implementation in one.implementations)
        patterns = ", ".join(sorted(one.patterns))
        table.add_row(one.slug + mark, one.family, one.layout, patterns, names, str(one.paper.year))
    console.print(table)
    catalogue = registry.catalogue()
    carried = sum(carrier is not None for carrier in catalogue.values())
    console.print(f"{len(registry.variants)} variants carry {carried} of the catalogue's {len(catalogue)} mechanisms.")
    report_broken(registry)


def report_broken(registry: Registry) -> None:
    """Name the plugins that a registry left out."""
    left_out(registry.broken)


def _data(registry: Registry) -> dict[str, object]:
    return {
        "variants": [_variant(one) for one in registry.variants.values()],
        "catalogue": {slug: carrier and carrier.model_dump() for slug, carrier in registry.catalogue().items()},
        "suites": {name: suite.summary for name, suite in registry.suites.items()},
        "broken": [one.model_dump() for one in registry.broken],
    }


def _variant(one: VariantFacts) -> dict[str, object]:
    facts = one.model_dump(include={"slug", "summary", "layout", "family", "paper", "fidelity"})
    return {
        **facts,
        "patterns": sorted(one.patterns),
        "implementations": [implementation.name for implementation in one.implementations],
    }
