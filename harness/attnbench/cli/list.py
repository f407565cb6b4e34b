"""`attnbench list`: what there is."""

from itertools import groupby

from rich import box
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
    console.print(_table(registry))
    catalogue = registry.catalogue()
    carried = sum(carrier is not None for carrier in catalogue.values())
    console.print(f"{len(registry.variants)} variants carry {carried} of the catalogue's {len(catalogue)} mechanisms.")
    report_broken(registry)


def _table(registry: Registry) -> Table:
    """One row a variant, a section a family; the reference, which each has, goes without saying."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold")
    for heading in ("variant", "year", "layout", "implementations"):
        table.add_column(heading, no_wrap=heading != "implementations")
    families = sorted(registry.variants.values(), key=lambda one: (one.family, one.slug))
    for family, variants in groupby(families, key=lambda one: one.family):
        table.add_section()
        table.add_row(f"[dim]{family.replace('_', ' ')}[/dim]")
        for one in variants:
            mark = " [yellow](reconstruction)[/yellow]" if one.fidelity is Fidelity.RECONSTRUCTED else ""
            names = ", ".join(each.name for each in one.implementations if not each.is_reference)
            table.add_row(f"  {one.slug}{mark}", str(one.paper.year), one.layout, names)
    return table


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
