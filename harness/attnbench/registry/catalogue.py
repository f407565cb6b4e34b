"""The literature catalogue: papers and the mechanisms that they bring. Facts only, free of torch."""

import json
from functools import cache
from importlib.resources import files

from pydantic import Field

from attnbench.errors import unknown
from attnbench.facts import Facts, Line, Paper, Slug
from attnbench.nouns import Fidelity, Layout, Pattern


class Mechanism(Facts):
    """One mechanism that a paper brings."""

    slug: Slug
    name: Line
    family: Slug
    layout: Layout
    patterns: tuple[Pattern, ...]


class Entry(Facts):
    """One paper or baseline. `kind` says what it is to us: a variant, an analysis, none, ..."""

    slug: Slug
    title: Line
    year: int = Field(ge=1900, le=2100)
    kind: Slug
    fidelity: Fidelity
    baseline: bool
    mechanisms: tuple[Mechanism, ...]


@cache
def entries() -> dict[str, Entry]:
    """Return all entries by slug, in alphabetical order."""
    text = files("attnbench").joinpath("data/catalogue.json").read_text(encoding="utf-8")
    return {raw["slug"]: Entry.model_validate(raw) for raw in json.loads(text)}


@cache
def mechanisms() -> dict[str, tuple[Mechanism, Entry]]:
    """Return all mechanisms by slug, each with the entry that brings it."""
    return {one.slug: (one, entry) for entry in entries().values() for one in entry.mechanisms}


def paper_of(entry: str) -> Paper:
    """Return the paper behind an entry.

    Raises:
        UserError: the catalogue has no such entry.
    """
    found = entries().get(entry)
    if found is None:
        raise unknown("catalogue entry", entry, entries())
    return Paper(entry=found.slug, title=found.title, year=found.year)


def mechanism(slug: str) -> Mechanism:
    """Return a mechanism by slug.

    Raises:
        UserError: the catalogue has no such mechanism.
    """
    if slug not in mechanisms():
        raise unknown("mechanism", slug, mechanisms())
    return mechanisms()[slug][0]
