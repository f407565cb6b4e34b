"""The three decorators by which a file declares a variant, an implementation of one, and a reduction.

They attach facts and return the decorated object; nothing is registered anywhere. The registry finds what a module
declares by looking at the module that an entry point names.
"""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

from attnbench.contract.attention import Attention, DecodableAttention, M, P
from attnbench.contract.draw import Trial
from attnbench.facts import Claim, ImplementationFacts, Paper, Scalar, VariantFacts
from attnbench.nouns import Dtype, Extra, Fidelity, Layout, Pattern, Property
from attnbench.registry.catalogue import paper_of

A = TypeVar("A", bound=type[Attention[Any, Any, Any]])

SECTION = re.compile(r"^(?:Args|Attributes|Raises|Returns|Yields):$", re.MULTILINE)
ALL_DTYPES = frozenset(Dtype)
ON_CPU_AND_CUDA = frozenset({"cpu", "cuda"})


@dataclass(frozen=True)
class Implementation(Generic[P, M]):
    """A function that computes a variant's mix, with its facts."""

    facts: ImplementationFacts
    mix: Callable[[P], M]

    def __call__(self, operands: P) -> M:
        """Compute the mix."""
        return self.mix(operands)


@dataclass(frozen=True)
class Reduction:
    """An identity that a variant's catalogue entry states: in a corner, the mechanism is something known.

    `check` runs the core under test and returns (got, expected), two tensors of one shape.
    """

    variant: str
    name: str
    says: str
    check: Callable[[Trial[Any, Any]], tuple[Tensor, Tensor]]


def variant(
    *,
    slug: str,
    paper: str | Paper,
    family: str,
    layout: Layout,
    patterns: Collection[Pattern],
    fidelity: Fidelity,
    mechanisms: Sequence[str] | None = None,
    properties: Collection[Property] = (),
    requires: Collection[Extra] = (),
    accepts: Collection[Extra] = (),
    settings: Mapping[str, Sequence[Mapping[str, Scalar]]] | None = None,
    claims: Sequence[Claim] = (),
) -> Callable[[A], A]:
    """Declare a class as the definition of a variant.

    Args:
        slug: the variant's name, which is also the name of its file.
        paper: an entry of the catalogue by name, or a paper that the catalogue lacks.
        family: one of the catalogue's families.
        layout: how tokens lie.
        patterns: who may attend to whom; `Pattern.DECODE` needs a `DecodableAttention`.
        fidelity: how well the definition is established.
        mechanisms: mechanisms of the catalogue that the definition carries; by default the one named like the slug.
            Those that an implementation carries are named there.
        properties: promises, each of which is tested.
        requires: extras without which the variant cannot run.
        accepts: extras that it reads when they are there.
        settings: hyperparameters by suite, for suites whose workloads are too small or too large for the defaults.
        claims: the paper's headline.

    Raises:
        TypeError: the class is no `Attention`, or declares decoding without being decodable.
    """

    def declare(cls: A) -> A:
        if not (inspect.isclass(cls) and issubclass(cls, Attention)):
            raise TypeError(f"@variant needs a subclass of Attention, got {cls!r}")
        if (Pattern.DECODE in patterns) != issubclass(cls, DecodableAttention):
            raise TypeError(f"{slug}: Pattern.DECODE and DecodableAttention go together")
        summary, description = _documentation(cls)
        facts = VariantFacts(
            slug=slug,
            summary=summary,
            description=description,
            paper=paper_of(paper) if isinstance(paper, str) else paper,
            family=family,
            layout=layout,
            patterns=frozenset(patterns),
            fidelity=fidelity,
            mechanisms=(slug,) if mechanisms is None else tuple(mechanisms),
            hyperparameters=_hyperparameters(cls),
            properties=frozenset(properties),
            requires=frozenset(requires),
            accepts=frozenset(accepts),
            settings={suite: tuple(some) for suite, some in (settings or {}).items()},
            reductions=(),
            claims=tuple(claims),
            module=cls.__module__,
            line=_line(cls),
            plugin="",
        )
        cls.facts = facts
        return cls

    return declare


def implementation(
    *,
    of: type[Attention[Any, P, M]] | str,
    name: str,
    dtypes: Collection[Dtype] = ALL_DTYPES,
    devices: Collection[str] = ON_CPU_AND_CUDA,
    mechanism: str | None = None,
) -> Callable[[Callable[[P], M]], Implementation[P, M]]:
    """Declare a function as an implementation of a variant's mix.

    The function raises `Unsupported` with a reason for operands that it does not carry.

    Args:
        of: the variant's class, or its slug.
        name: `torch`, `sdpa`, `flex`, `triton`, the name of a library, or of the form that it computes.
        dtypes: what it computes in.
        devices: kinds of device that it runs on.
        mechanism: the mechanism of the catalogue that this implementation, rather than the definition, carries.

    Raises:
        TypeError: the name is `reference`, which is the definition's own, or there is no docstring.
    """
    if name == "reference":
        raise TypeError("`reference` is the name of the definition itself: give the implementation another")
    slug = of if isinstance(of, str) else of.facts.slug

    def declare(function: Callable[[P], M]) -> Implementation[P, M]:
        facts = ImplementationFacts(
            variant=slug,
            name=name,
            summary=_documentation(function)[0],
            module=function.__module__,
            line=_line(function),
            plugin="",
            distribution="",
            devices=frozenset(devices),
            dtypes=frozenset(dtypes),
            mechanism=mechanism,
        )
        return Implementation(facts, function)

    return declare


def reduction(
    *, of: type[Attention[Any, P, M]], says: str
) -> Callable[[Callable[[Trial[P, M]], tuple[Tensor, Tensor]]], Reduction]:
    """Declare a function as the check of one of a variant's reductions.

    Args:
        of: the variant's class.
        says: the identity in words, e.g. "window >= N is dense causal attention".
    """

    def declare(check: Callable[[Trial[P, M]], tuple[Tensor, Tensor]]) -> Reduction:
        return Reduction(of.facts.slug, check.__name__.strip("_"), says, check)

    return declare


def _documentation(thing: Any) -> tuple[str, str]:
    text = inspect.cleandoc(thing.__doc__ or "")  # its own: a class would inherit that of its base
    if not text:
        raise TypeError(f"{thing.__qualname__} needs a docstring: its first line is what users read in lists")
    summary, _, rest = text.partition("\n")
    return summary, SECTION.split(rest)[0].strip()


def _hyperparameters(cls: type) -> dict[str, Scalar]:
    taken = {"self", "dim", "heads", "place", "other_dim", "context_dim"}
    parameters = inspect.signature(cls).parameters.values()
    return {one.name: one.default for one in parameters if one.name not in taken}


def _line(thing: Any) -> int:
    return inspect.getsourcelines(thing)[1]
