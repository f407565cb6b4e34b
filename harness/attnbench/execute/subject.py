"""What a suite's code is handed in the worker, and what it hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from attnbench.contract import Attention, Reduction
from attnbench.facts import ImplementationFacts, VariantFacts


@dataclass(frozen=True)
class Subject:
    """The implementation under test.

    Attributes:
        variant: the variant's class, whose `mix` is the definition.
        facts: the variant's facts.
        implementation: the implementation's facts.
        core: the function that computes the mix.
        reductions: the variant's declared reductions.
    """

    variant: type[Attention[Any, Any, Any]]
    facts: VariantFacts
    implementation: ImplementationFacts
    core: Callable[[Any], Any]
    reductions: tuple[Reduction, ...]


@dataclass(frozen=True)
class Measurement:
    """What the worker measured, before anybody judged it.

    Attributes:
        tensors: outputs, by name; they travel without pickle.
        samples: raw numbers in the order in which they were taken; a name ends in its unit (`forward_s`).
        numbers: single numbers.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    samples: Mapping[str, list[float]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
