"""What is known of variants, implementations, devices and cases without running them. Free of torch.

Facts travel as JSON between the processes that import plugins and those that must not.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, TypeVar

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StringConstraints

from attnbench.nouns import Dtype, Extra, Fidelity, Layout, Pattern, Profile, Property

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Line = Annotated[
    str, StringConstraints(min_length=1, max_length=400, pattern=r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$")
]
Integer = Annotated[int, Field(ge=-(2**53), le=2**53)]
Scalar = bool | Integer | float | str | None
T = TypeVar("T", bound=str)
SortedSet = Annotated[frozenset[T], PlainSerializer(sorted, return_type=list[str])]
Extent = Integer | tuple[Integer, ...]


class Facts(BaseModel):
    """Base of all facts: immutable, closed against unknown fields, finite numbers only."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def canonical(self) -> bytes:
        """Return the canonical JSON of this object (RFC 8785), the form that is hashed and stored."""
        return rfc8785.dumps(self.model_dump(mode="json"))

    def digest(self) -> str:
        """Return the SHA-256 of the canonical JSON in hexadecimal digits."""
        return hashlib.sha256(self.canonical()).hexdigest()


class Paper(Facts):
    """Where a mechanism comes from."""

    entry: Slug | None = None
    title: Line
    year: int = Field(ge=1900, le=2100)


class Claim(Facts):
    """A paper's headline as a statement that results can support or contradict."""

    text: Line
    metric: Line
    value: float | None = None
    conditions: Line = "as in the paper"


class ImplementationFacts(Facts):
    """One piece of code that computes a variant."""

    variant: Slug
    name: Slug
    summary: Line
    module: str
    line: int = 0
    plugin: str
    distribution: str
    devices: SortedSet[str]
    dtypes: SortedSet[Dtype]
    mechanism: Slug | None = None
    source_hash: str = ""

    @property
    def key(self) -> str:
        """The name by which users call it: `variant/name`."""
        return f"{self.variant}/{self.name}"

    @property
    def is_reference(self) -> bool:
        """Whether this is the definition itself."""
        return self.name == "reference"


class VariantFacts(Facts):
    """One attention mechanism as mathematics."""

    slug: Slug
    summary: Line
    description: str = Field(max_length=20_000)
    paper: Paper
    family: Slug
    layout: Layout
    patterns: SortedSet[Pattern]
    fidelity: Fidelity
    mechanisms: tuple[Slug, ...]
    hyperparameters: Mapping[str, Scalar]
    properties: SortedSet[Property]
    requires: SortedSet[Extra]
    accepts: SortedSet[Extra]
    settings: Mapping[str, tuple[Mapping[str, Scalar], ...]]
    reductions: tuple[tuple[str, Line], ...]
    claims: tuple[Claim, ...]
    module: str
    line: int = 0
    plugin: str
    implementations: tuple[ImplementationFacts, ...] = ()

    def implementation(self, name: str) -> ImplementationFacts | None:
        """Find an implementation by name, or None."""
        return next((one for one in self.implementations if one.name == name), None)

    def settings_for(self, suite: str) -> tuple[Mapping[str, Scalar], ...]:
        """Hyperparameters to build this variant with in a suite: its own list, or the defaults once."""
        return self.settings.get(suite, ({},))


class DeviceFacts(Facts):
    """One GPU, or the CPU. `threads` is what a worker that has the device for itself computes with."""

    id: Slug
    kind: str = Field(pattern="^(cpu|cuda)$")
    name: Line
    index: int = 0
    uuid: str | None = None
    memory_bytes: int = Field(ge=0)
    threads: int = Field(ge=1)
    driver: str | None = None


class Case(Facts):
    """One workload of a suite: data, with an id that stays the same as long as the data does."""

    suite: Slug
    version: int
    kind: Slug
    layout: Layout
    pattern: Pattern
    dtype: Dtype
    shape: Mapping[str, Extent] = Field(default_factory=dict)
    settings: Mapping[str, Scalar] = Field(default_factory=dict)
    options: Mapping[str, Scalar] = Field(default_factory=dict)
    profile: Profile
    seconds: float = Field(gt=0, description="time after which a worker that is still silent is stopped")

    @property
    def id(self) -> str:
        """Readable and stable, e.g. `latency.v1/forward/sequence/causal_self/float32/batch=1,n=512`."""
        groups = (self.shape, self.settings, self.options)
        parts = [",".join(f"{key}={_compact(group[key])}" for key in sorted(group)) for group in groups if group]
        return "/".join([f"{self.suite}.v{self.version}", self.kind, self.layout, self.pattern, self.dtype, *parts])


def _compact(value: Scalar | Extent) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # as canonical JSON writes it, so that a case that was read again has the same id
    return str(value)
