"""`attnbench show`: one variant, or one mechanism of the catalogue."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from attnbench.cli.options import Json
from attnbench.cli.output import console, emit
from attnbench.errors import unknown
from attnbench.facts import VariantFacts
from attnbench.nouns import Fidelity
from attnbench.registry.catalogue import Entry, mechanism
from attnbench.registry.registry import load

NAME = typer.Argument(help="A variant, or any mechanism of the catalogue.")


def show(name: Annotated[str, NAME], json: Json = False) -> None:
    """Show what a variant computes and what implements it, or what the catalogue knows of a mechanism.

    Example: [bold]attnbench show mla_absorbed[/bold]
    """
    registry = load()
    carrier = registry.catalogue().get(name)
    entry = registry.entry(name)
    if name in registry.variants or carrier:
        variant = registry.variant(name)
        if json:
            emit({**variant.model_dump(mode="json"), "carried_by": carrier and carrier.model_dump()})
        else:
            _print_variant(variant, name, carrier.implementation if carrier else None)
    elif entry:
        if json:
            emit(
                {
                    "mechanism": mechanism(name).model_dump(mode="json"),
                    "entry": entry.model_dump(mode="json"),
                    "carried_by": None,
                }
            )
        else:
            _print_mechanism(name, entry)
    else:
        raise unknown("variant or mechanism", name, {*registry.variants, *registry.catalogue()})


def _print_variant(variant: VariantFacts, asked: str, form: str | None) -> None:
    if asked != variant.slug:
        console.print(f"{asked} is carried by [bold]{variant.slug}{f'/{form}' if form else ''}[/bold]\n")
    console.print(f"[bold]{variant.slug}[/bold]  {escape(variant.summary)}")
    for paragraph in variant.description.split("\n\n"):
        console.print(escape(" ".join(paragraph.split())), style="dim")
    label = "reconstruction from the abstract" if variant.fidelity is Fidelity.RECONSTRUCTED else variant.fidelity
    facts = {
        "paper": f"{variant.paper.title}, {variant.paper.year}",
        "family": variant.family,
        "layout": variant.layout,
        "patterns": ", ".join(sorted(variant.patterns)),
        "fidelity": label,
        "defaults": ", ".join(f"{key}={value}" for key, value in variant.hyperparameters.items()) or "none",
        "properties": ", ".join(sorted(variant.properties)) or "none declared",
        "needs": ", ".join(sorted(variant.requires)) or "nothing beside its inputs",
    }
    table = Table.grid(padding=(0, 2))
    for key, value in facts.items():
        table.add_row(f"[bold]{key}[/bold]", escape(str(value)))
    console.print(table)
    console.print("\n[bold]implementations[/bold]")
    for one in variant.implementations:
        console.print(f"  [cyan]{one.name}[/cyan]  {escape(one.summary)} [dim]{one.module}:{one.line}[/dim]")
    console.print("\n[bold]reductions[/bold]")
    for _, says in variant.reductions:
        console.print(f"  {escape(says)}")


def _print_mechanism(name: str, entry: Entry) -> None:
    one = mechanism(name)
    console.print(f"[bold]{one.slug}[/bold]  {escape(one.name)}")
    console.print(f"{escape(entry.title)}, {entry.year}; {one.family}, {one.layout}, {entry.fidelity}")
    console.print("Nothing here carries it yet.", style="yellow")
