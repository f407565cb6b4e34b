"""The workloads of the correctness suite, as data, and the rule that picks those of an implementation."""

from collections.abc import Iterator, Mapping

from attnbench.facts import Case, Extent, ImplementationFacts, Scalar, VariantFacts
from attnbench.nouns import Dtype, Extra, Layout, Pattern, Profile, Property

VERSION = 1
SECONDS = 120.0
CROSS = (Pattern.NONCAUSAL_CROSS, Pattern.CAUSAL_CROSS)
Shape = Mapping[str, Extent]

# The first shape of a layout is run at every profile, the others from `quick` on: single tokens, sides of one,
# lengths around powers of two, empty and lone groups, isolated nodes.
SHAPES: Mapping[Layout, tuple[Shape, ...]] = {
    Layout.SEQUENCE: ({"batch": 2, "n": 17}, {"batch": 1, "n": 1}, {"batch": 2, "n": 33}, {"batch": 1, "n": 64}),
    Layout.GRID2D: (
        {"batch": 2, "height": 6, "width": 9},
        {"batch": 1, "height": 1, "width": 5},
        {"batch": 1, "height": 8, "width": 8},
        {"batch": 1, "height": 13, "width": 4},
    ),
    Layout.GRID3D: (
        {"batch": 2, "frames": 3, "height": 4, "width": 5},
        {"batch": 1, "frames": 1, "height": 1, "width": 6},
        {"batch": 1, "frames": 4, "height": 6, "width": 3},
    ),
    Layout.FEATURE_MAP: (
        {"batch": 2, "height": 5, "width": 7},
        {"batch": 1, "height": 1, "width": 1},
        {"batch": 3, "height": 8, "width": 4},
    ),
    Layout.RAGGED: (
        {"counts": (5, 0, 1, 9)},
        {"counts": (3,)},
        {"counts": (0, 0, 17, 16, 15, 0)},
    ),
    Layout.TWO_STREAM: (
        {"batch": 2, "n": 9, "m": 5, "other_dim": 24},
        {"batch": 1, "n": 1, "m": 1, "other_dim": 16},
        {"batch": 2, "n": 16, "m": 33, "other_dim": 48},
    ),
    Layout.SET: (
        {"groups": (3, 1, 4), "steps": 5},
        {"groups": (1,), "steps": 1},
        {"groups": (2, 2, 9, 2), "steps": 3},
    ),
    Layout.GRAPH: (
        {"nodes": 9, "edges": 24},
        {"nodes": 1, "edges": 0},
        {"nodes": 16, "edges": 120},
    ),
}
SOURCES: tuple[Shape, ...] = ({"s": 13, "context_dim": 24}, {"s": 1, "context_dim": 24}, {"s": 40, "context_dim": 24})
WIDTH: Shape = {"dim": 32, "heads": 4}
BATCHED = frozenset(layout for layout, shapes in SHAPES.items() if "batch" in shapes[0])


def cases(
    variant: VariantFacts, implementation: ImplementationFacts, device_kind: str, profile: Profile
) -> tuple[Case, ...]:
    """Return the cases of one implementation on a kind of device at a profile."""
    found = _Planner(variant, implementation, device_kind).all()
    return tuple(case for case in found if profile.covers(case.profile))


class _Planner:
    def __init__(self, variant: VariantFacts, implementation: ImplementationFacts, device_kind: str) -> None:
        self.variant = variant
        self.implementation = implementation
        first = {Dtype.FLOAT32} | ({Dtype.BFLOAT16} if device_kind == "cuda" else set())
        self.dtypes = {one: Profile.SMOKE if one in first else Profile.QUICK for one in sorted(implementation.dtypes)}
        self.exact = Dtype.FLOAT64 if Dtype.FLOAT64 in implementation.dtypes else Dtype.FLOAT32

    def all(self) -> Iterator[Case]:
        yield from self._agreement()
        if self.exact is Dtype.FLOAT64:  # a reduction holds to rounding, which float32 would blur
            yield from self._reductions()
        yield from self._properties()
        if Pattern.DECODE in self.variant.patterns:
            yield from self._decode()
        if self.implementation.is_reference:
            yield from self._gradcheck()

    def _agreement(self) -> Iterator[Case]:
        for pattern in sorted(self.variant.patterns - {Pattern.DECODE}):
            for setting in self.variant.settings_for("correctness"):
                for index, shape in enumerate(self._shapes(pattern)):
                    for dtype, from_profile in self.dtypes.items():
                        profile = from_profile if index == 0 else Profile.QUICK
                        for kind in ("forward", "gradients"):
                            yield self._case(kind, pattern, dtype, shape, setting, profile=profile)
        if Extra.KEY_PADDING in self.variant.accepts:
            pattern = min(self.variant.patterns - {Pattern.DECODE})
            for kind in ("forward", "gradients"):
                yield self._case(kind, pattern, Dtype.FLOAT32, self._shapes(pattern)[0], {}, options={"padding": True})

    def _reductions(self) -> Iterator[Case]:
        for name, _ in self.variant.reductions:
            for profile, sizes in ((Profile.SMOKE, (1, 2, 5)), (Profile.QUICK, (3, 4, 6, 7, 8, 9))):
                options = {"reduction": name}
                pattern = min(self.variant.patterns)
                yield self._case(
                    "reduction", pattern, self.exact, {"sizes": sizes}, {}, profile=profile, options=options
                )

    def _properties(self) -> Iterator[Case]:
        declared = self.variant.properties
        for pattern in sorted(self.variant.patterns - {Pattern.DECODE}):
            shape = self._shapes(pattern)[0]
            for setting in self.variant.settings_for("correctness"):
                if pattern is Pattern.CAUSAL_SELF:
                    for one in (Property.CAUSAL_WEIGHTS, Property.CAUSAL_SELECTION):
                        if one in declared:
                            yield self._case(one, pattern, self.exact, shape, setting)
                if Property.BATCH_INDEPENDENT in declared and self.variant.layout in BATCHED:
                    yield self._case(Property.BATCH_INDEPENDENT, pattern, self.exact, shape, setting)
                if Property.ROWS_SUM_TO_ONE in declared:
                    yield self._case(Property.ROWS_SUM_TO_ONE, pattern, self.exact, shape, setting)

    def _decode(self) -> Iterator[Case]:
        for setting in self.variant.settings_for("correctness"):
            for index, prefill in enumerate((0, 6, 16)):
                profile = Profile.SMOKE if index == 1 else Profile.QUICK
                shape, options = self._shapes(Pattern.CAUSAL_SELF)[0], {"prefill": prefill}
                yield self._case("decode", Pattern.DECODE, self.exact, shape, setting, profile=profile, options=options)

    def _gradcheck(self) -> Iterator[Case]:
        smallest = {
            key: max(2, value // 4)
            if isinstance(value, int) and key in {"n", "m", "height", "width", "nodes"}
            else value
            for key, value in SHAPES[self.variant.layout][0].items()
        }
        for pattern in sorted(self.variant.patterns - {Pattern.DECODE}):
            crosses = pattern in CROSS and self.variant.layout is Layout.SEQUENCE
            shape = {**smallest, **({"s": 3, "context_dim": 24} if crosses else {})}
            yield self._case("gradcheck", pattern, Dtype.FLOAT64, shape, {}, profile=Profile.QUICK)

    def _shapes(self, pattern: Pattern) -> list[Shape]:
        shapes = SHAPES[self.variant.layout]
        if pattern not in CROSS or self.variant.layout is not Layout.SEQUENCE:
            return list(shapes)
        return [{**shape, **source} for shape, source in zip(shapes, SOURCES, strict=False)]

    def _case(
        self,
        kind: str,
        pattern: Pattern,
        dtype: Dtype,
        shape: Shape,
        settings: Mapping[str, Scalar],
        *,
        profile: Profile = Profile.SMOKE,
        options: Mapping[str, Scalar] | None = None,
    ) -> Case:
        return Case(
            suite="correctness",
            version=VERSION,
            kind=str(kind),
            layout=self.variant.layout,
            pattern=pattern,
            dtype=dtype,
            shape=shape if kind == "reduction" else {**shape, **WIDTH},
            settings=settings,
            options=options or {},
            profile=profile,
            seconds=SECONDS,
        )
