"""Declarations: facts are attached, and what cannot be right is refused where it is written."""

import pytest
import torch
from pydantic import ValidationError

from attnbench.contract import (
    Attention,
    DecodableAttention,
    Dtype,
    Fidelity,
    Layout,
    Outputs,
    Paper,
    Pattern,
    Place,
    implementation,
    reduction,
    variant,
)
from attnbench.errors import UserError

PAPER = Paper(title="A made-up mechanism", year=2020)


def declare(cls, **changed):
    facts = {
        "slug": "made_up",
        "paper": PAPER,
        "family": "linear",
        "layout": Layout.SEQUENCE,
        "patterns": {Pattern.NONCAUSAL_SELF},
        "fidelity": Fidelity.KNOWN_WELL,
    }
    return variant(**facts | changed)(cls)


def made_up(base=Attention):
    class MadeUp(base):
        """Returns its operands.

        Nothing more.
        """

        def __init__(self, dim, heads, *, place: Place = Place(), window: int = 4, context_dim=None):
            super().__init__()

    return MadeUp


def test_a_variant_carries_what_its_class_says():
    facts = declare(made_up()).facts
    assert (facts.summary, facts.description) == ("Returns its operands.", "Nothing more.")
    assert dict(facts.hyperparameters) == {"window": 4}
    assert facts.mechanisms == ("made_up",)
    assert facts.module == __name__
    assert facts.line > 0
    assert facts.settings_for("latency") == ({},)


def test_a_paper_of_the_catalogue_goes_by_name():
    paper = declare(made_up(), paper="multi_head").facts.paper
    assert (paper.entry, paper.year) == ("multi_head", 2017)


def test_a_paper_that_the_catalogue_lacks_by_that_name():
    with pytest.raises(UserError, match=r"unknown catalogue entry 'multi_hed': did you mean multi_head"):
        declare(made_up(), paper="multi_hed")


@pytest.mark.parametrize(
    ("base", "patterns"), [(Attention, {Pattern.DECODE}), (DecodableAttention, {Pattern.CAUSAL_SELF})]
)
def test_decoding_is_declared_and_written_together(base, patterns):
    with pytest.raises(TypeError, match=r"Pattern\.DECODE and DecodableAttention go together"):
        declare(made_up(base), patterns=patterns)


@pytest.mark.parametrize("thing", [torch.nn.Linear, lambda operands: operands, 3])
def test_only_a_mechanism_can_be_a_variant(thing):
    with pytest.raises(TypeError, match="needs a subclass of Attention"):
        declare(thing)


def test_a_docstring_is_not_inherited():
    class Silent(Attention):
        pass

    with pytest.raises(TypeError, match="Silent needs a docstring"):
        declare(Silent)

    def silent(operands):
        return operands

    with pytest.raises(TypeError, match="silent needs a docstring"):
        implementation(of="made_up", name="torch")(silent)


@pytest.mark.parametrize("slug", ["Made-Up", "", "1st", "a" * 65, "über"])
def test_names_are_plain(slug):
    with pytest.raises(ValidationError, match="slug"):
        declare(made_up(), slug=slug)


@pytest.mark.parametrize("summary", ["", "\x1b[31mred", "one\u202etwo", "x" * 401])
def test_summaries_are_one_plain_line(summary):
    def core(operands):
        return operands

    core.__doc__ = summary
    with pytest.raises((TypeError, ValidationError)):
        implementation(of="made_up", name="torch")(core)


def test_an_implementation_is_the_function_with_its_facts():
    cls = declare(made_up())

    @implementation(of=cls, name="fast", dtypes={Dtype.FLOAT32}, devices={"cpu"}, mechanism="mla_absorbed")
    def core(operands):
        """Adds one."""
        return operands + 1

    assert core(1) == core.mix(1) == 2
    assert core.facts.key == "made_up/fast"
    assert (core.facts.devices, core.facts.dtypes) == ({"cpu"}, {Dtype.FLOAT32})
    assert not core.facts.is_reference


def test_the_name_of_the_definition_is_taken():
    with pytest.raises(TypeError, match="`reference` is the name of the definition"):
        implementation(of="made_up", name="reference")


def test_a_reduction_is_named_like_its_function():
    @reduction(of=declare(made_up()), says="nothing is nothing")
    def _nothing(trial):
        return trial, trial

    assert (_nothing.variant, _nothing.name, _nothing.says) == ("made_up", "nothing", "nothing is nothing")


@pytest.mark.parametrize("field", ["slug", "layout", "hyperparameters"])
def test_facts_are_frozen(field):
    with pytest.raises(ValidationError, match="frozen"):
        setattr(declare(made_up()).facts, field, "other")


def test_a_mechanism_without_steps_says_so():
    module = declare(made_up())(8, 2)
    for step in (module.project, module.mix):
        with pytest.raises(NotImplementedError):
            step(None)
    with pytest.raises(NotImplementedError):
        module.merge(None, None)


def test_outputs_of_streams():
    x, y = torch.zeros(1), torch.ones(1)
    assert Outputs.of(x, y).streams == (x, y)
    assert Outputs.of(x, y).x is x
