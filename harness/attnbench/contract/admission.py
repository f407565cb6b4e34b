"""Refuses inputs that a variant is not defined for: ignoring them would compute something else."""

from dataclasses import fields

from attnbench.contract.inputs import Inputs, Sequence
from attnbench.errors import UserError
from attnbench.facts import VariantFacts
from attnbench.nouns import Extra, Pattern


def admit(facts: VariantFacts, inputs: Inputs) -> None:
    """Check a layer's inputs against what its variant declares.

    Raises:
        UserError: an extra is missing or would be ignored, or the pattern is not one of the variant's.
    """
    extras = inputs.extras
    given = {Extra(one.name) for one in fields(extras) if getattr(extras, one.name) is not None}
    missing, ignored = facts.requires - given, given - facts.requires - facts.accepts - {Extra.GENERATOR}
    if missing:
        raise UserError(f"{facts.slug} needs {', '.join(sorted(missing))}: give it in the extras of its inputs")
    if ignored:
        raise UserError(f"{facts.slug} does not read {', '.join(sorted(ignored))}: leave it out of the extras")
    if isinstance(inputs, Sequence) and _pattern(inputs) not in facts.patterns:
        raise UserError(
            f"{facts.slug} is not defined for {_pattern(inputs)}, only for {', '.join(sorted(facts.patterns))}"
        )


def _pattern(inputs: Sequence) -> Pattern:
    if inputs.context is None:
        return Pattern.CAUSAL_SELF if inputs.causal else Pattern.NONCAUSAL_SELF
    return Pattern.CAUSAL_CROSS if inputs.causal else Pattern.NONCAUSAL_CROSS
