"""The catalogue, and whether the project's own plugins agree with it."""

from collections import Counter
from importlib.metadata import entry_points

import pytest

from attnbench.errors import UserError
from attnbench.registry.catalogue import entries, mechanism, mechanisms, paper_of
from attnbench.registry.registry import load

# The catalogue files Chronos-2 under sequences; its group attention mixes the series of a set.
LAYOUT_IS_OURS = {"chronos_group_attention"}


@pytest.fixture(scope="module")
def ours():
    """Variants and implementations of this distribution, whatever else is installed."""
    return {
        slug: one
        for slug, one in load().variants.items()
        if one.implementations[0].distribution.startswith("attnbench ")
    }


def test_the_catalogue_is_whole():
    assert (len(entries()), len(mechanisms())) == (279, 334)
    assert sum(len(entry.mechanisms) for entry in entries().values()) == 334
    assert all(one is mechanism(slug) for slug, (one, _) in mechanisms().items())


def test_unknown_entries_and_mechanisms_come_with_close_ones():
    with pytest.raises(UserError, match="unknown catalogue entry 'muti_head': did you mean"):
        paper_of("muti_head")
    with pytest.raises(UserError, match="unknown mechanism 'mla_absorb': did you mean mla_absorbed"):
        mechanism("mla_absorb")


def test_no_plugin_of_the_project_is_broken():
    assert not [one for one in load().broken if "(attnbench " in one.plugin]


def test_every_entry_point_of_the_project_declares_something(ours):
    points = [one for one in entry_points(group="attnbench.impls") if one.dist and one.dist.name == "attnbench"]
    assert points
    homes = {one.module for variant in ours.values() for one in variant.implementations}
    assert {one.value for one in points} == homes


def test_variants_say_what_the_catalogue_says(ours):
    for slug, one in ours.items():
        if slug not in mechanisms():
            continue
        known, entry = mechanisms()[slug]
        assert (slug, one.family) == (slug, known.family)
        assert (slug, one.fidelity) == (slug, entry.fidelity)
        assert (slug, one.patterns) == (slug, frozenset(known.patterns))
        if slug not in LAYOUT_IS_OURS:
            assert (slug, one.layout) == (slug, known.layout)


def test_papers_of_the_catalogue_are_quoted_from_it(ours):
    for one in ours.values():
        if one.paper.entry:
            assert one.paper == paper_of(one.paper.entry)


def test_each_mechanism_is_carried_once(ours):
    carried = Counter(name for one in ours.values() for name in one.mechanisms)
    carried.update(one.mechanism for variant in ours.values() for one in variant.implementations if one.mechanism)
    assert not {name: count for name, count in carried.items() if count > 1}
    assert not set(carried) - set(mechanisms())


def test_every_variant_has_a_definition_and_a_faster_form(ours):
    for slug, one in ours.items():
        names = [implementation.name for implementation in one.implementations]
        assert names[0] == "reference", slug
        assert len(names) > 1, slug
        assert len(set(names)) == len(names), slug


def test_every_carried_mechanism_leads_to_its_variant():
    registry = load()
    assert len(registry.catalogue()) == 334
    for name, carrier in registry.catalogue().items():
        if carrier:
            assert registry.variant(name).slug == carrier.variant
            assert carrier.implementation is None or registry.implementation(f"{name}/{carrier.implementation}")
