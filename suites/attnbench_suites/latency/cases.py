"""The workloads of the latency suite, as data, and the rule that picks those of an implementation."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from attnbench.facts import Case, Extent, ImplementationFacts, Scalar, VariantFacts
from attnbench.nouns import Dtype, Layout, Pattern, Profile

VERSION = 1
Shape = Mapping[str, Extent]


class Direction(StrEnum):
    """What is timed of the core: one run, its gradients, or one new token behind a cache."""

    FORWARD = "forward"
    BACKWARD = "backward"
    DECODE = "decode"


@dataclass(frozen=True)
class Effort:
    """What a case of a profile may cost.

    Attributes:
        budget_s: seconds of sampling.
        target: relative half-width of the ratio's 95 % interval at which sampling stops.
        limit: the half-width above which a case is unconverged.
        seconds: when a silent worker is stopped.
    """

    budget_s: float
    target: float
    limit: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """A shape, from which profile on it is timed, and in which directions."""

    profile: Profile
    directions: tuple[Direction, ...]
    shape: Shape


EFFORTS: Mapping[Profile, Effort] = {
    Profile.SMOKE: Effort(budget_s=0.3, target=0.05, limit=0.5, seconds=120),
    Profile.QUICK: Effort(budget_s=2.0, target=0.02, limit=0.10, seconds=120),
    Profile.FULL: Effort(budget_s=10.0, target=0.01, limit=0.05, seconds=900),
}
DTYPES: Mapping[str, tuple[Dtype, ...]] = {"cpu": (Dtype.FLOAT32,), "cuda": (Dtype.BFLOAT16, Dtype.FLOAT32)}
LARGEST: Mapping[str, Profile] = {"cpu": Profile.QUICK, "cuda": Profile.FULL}
BASELINES: Mapping[Layout, str] = {layout: "copy" if layout is Layout.FEATURE_MAP else "sdpa" for layout in Layout}

SMOKE, QUICK, FULL = Profile
RUN = (Direction.FORWARD,)
TRAIN = (Direction.FORWARD, Direction.BACKWARD)
SERVE = (Direction.FORWARD, Direction.DECODE)
SMALL: Shape = {"dim": 32, "heads": 2}
LAPTOP: Shape = {"dim": 512, "heads": 8}
SERVER: Shape = {"dim": 2048, "heads": 16}

# The first row of a layout is the one that definitions are timed at and that results are recomputed at.
ROWS: Mapping[Layout, tuple[Row, ...]] = {
    Layout.SEQUENCE: (
        Row(SMOKE, (*TRAIN, Direction.DECODE), {"batch": 1, "n": 32, **SMALL}),
        Row(QUICK, TRAIN, {"batch": 1, "n": 512, **LAPTOP}),
        Row(QUICK, SERVE, {"batch": 1, "n": 2048, **LAPTOP}),
        Row(FULL, TRAIN, {"batch": 4, "n": 2048, **SERVER}),
        Row(FULL, (*TRAIN, Direction.DECODE), {"batch": 1, "n": 8192, **SERVER}),
        Row(FULL, RUN, {"batch": 1, "n": 32768, **SERVER}),
    ),
    Layout.GRID2D: (
        Row(SMOKE, TRAIN, {"batch": 1, "height": 14, "width": 14, **SMALL}),
        Row(QUICK, TRAIN, {"batch": 1, "height": 14, "width": 14, **LAPTOP}),
        Row(QUICK, RUN, {"batch": 1, "height": 28, "width": 28, **LAPTOP}),
        Row(FULL, TRAIN, {"batch": 8, "height": 56, "width": 56, **LAPTOP}),
        Row(FULL, RUN, {"batch": 1, "height": 112, "width": 112, **LAPTOP}),
    ),
    Layout.GRID3D: (
        Row(SMOKE, TRAIN, {"batch": 1, "frames": 4, "height": 7, "width": 7, **SMALL}),
        Row(QUICK, TRAIN, {"batch": 1, "frames": 8, "height": 14, "width": 14, **LAPTOP}),
        Row(FULL, TRAIN, {"batch": 1, "frames": 16, "height": 28, "width": 28, **SERVER}),
    ),
    Layout.FEATURE_MAP: (
        Row(SMOKE, TRAIN, {"batch": 1, "height": 14, "width": 14, **SMALL}),
        Row(QUICK, TRAIN, {"batch": 8, "height": 14, "width": 14, **LAPTOP}),
        Row(QUICK, RUN, {"batch": 8, "height": 56, "width": 56, "dim": 64, "heads": 8}),
        Row(FULL, TRAIN, {"batch": 64, "height": 56, "width": 56, "dim": 256, "heads": 8}),
    ),
    Layout.RAGGED: (
        Row(SMOKE, TRAIN, {"counts": (5, 0, 1, 17, 9), **SMALL}),
        Row(QUICK, TRAIN, {"counts": (512, 16, 384, 64, 1, 255, 128, 32, 256, 8, 200, 192), **LAPTOP}),
        Row(FULL, TRAIN, {"counts": (8192, 256, 4096, 1024, 16, 2048, 512, 240), **SERVER}),
    ),
    Layout.TWO_STREAM: (
        Row(SMOKE, TRAIN, {"batch": 1, "n": 24, "m": 8, "other_dim": 24, **SMALL}),
        Row(QUICK, TRAIN, {"batch": 1, "n": 512, "m": 128, "other_dim": 384, **LAPTOP}),
        Row(FULL, TRAIN, {"batch": 4, "n": 4096, "m": 512, "other_dim": 1024, **SERVER}),
    ),
    Layout.SET: (
        Row(SMOKE, TRAIN, {"groups": (3, 1, 4), "steps": 4, **SMALL}),
        Row(QUICK, TRAIN, {"groups": (1, 8, 2, 4, 3, 6, 4, 4, 12, 1, 5, 2, 4, 3, 1, 4), "steps": 16, **LAPTOP}),
        Row(FULL, TRAIN, {"groups": (4, 32, 8, 16, 64, 12, 48, 72), "steps": 64, **SERVER}),
    ),
    Layout.GRAPH: (
        Row(SMOKE, TRAIN, {"nodes": 32, "edges": 128, **SMALL}),
        Row(QUICK, TRAIN, {"nodes": 1024, "edges": 8192, **LAPTOP}),
        Row(FULL, TRAIN, {"nodes": 32768, "edges": 524288, **LAPTOP}),
    ),
}


def cases(
    variant: VariantFacts, implementation: ImplementationFacts, device_kind: str, profile: Profile
) -> tuple[Case, ...]:
    """Return the cases of one implementation on a kind of device at a profile.

    A definition is a loop in Python: it is timed at the first row only, where it shows what the fast paths gain.
    """
    if device_kind not in implementation.devices:
        return ()
    rows = ROWS[variant.layout][: 1 if implementation.is_reference else None]
    dtypes = [dtype for dtype in DTYPES[device_kind] if dtype in implementation.dtypes]
    return tuple(
        _case(variant.layout, row, kind=direction, pattern=pattern, dtype=dtype, settings=settings)
        for row in rows
        if profile.covers(row.profile) and LARGEST[device_kind].covers(row.profile)
        for direction in row.directions
        for pattern in _patterns(variant, direction)
        for dtype in dtypes
        for settings in variant.settings_for("latency")
    )


def smallest(case: Case) -> Case:
    """Return the same case at the first row of its layout, where its definition is affordable."""
    return case.model_copy(update={"shape": _shape(ROWS[case.layout][0], case.pattern), "profile": Profile.SMOKE})


def _patterns(variant: VariantFacts, direction: Direction) -> list[Pattern]:
    """Time a run in every form of self-attention, or else of cross-attention; gradients in the first of them."""
    if direction is Direction.DECODE:
        found = [Pattern.DECODE]
    else:
        found = [one for one in (Pattern.CAUSAL_SELF, Pattern.NONCAUSAL_SELF) if one in variant.patterns]
        found = found or [Pattern.CAUSAL_CROSS, Pattern.NONCAUSAL_CROSS]
    declared = [one for one in found if one in variant.patterns]
    return declared[: 1 if direction is Direction.BACKWARD else None]


def _shape(row: Row, pattern: Pattern) -> Shape:
    cross = pattern in (Pattern.CAUSAL_CROSS, Pattern.NONCAUSAL_CROSS) and "n" in row.shape and "m" not in row.shape
    return {**row.shape, "s": row.shape["n"], "context_dim": row.shape["dim"]} if cross else row.shape


def _case(
    layout: Layout, row: Row, *, kind: Direction, pattern: Pattern, dtype: Dtype, settings: Mapping[str, Scalar]
) -> Case:
    return Case(
        suite="latency",
        version=VERSION,
        kind=kind.value,
        layout=layout,
        pattern=pattern,
        dtype=dtype,
        shape=_shape(row, pattern),
        settings=settings,
        options={"baseline": BASELINES[layout]},
        profile=row.profile,
        seconds=EFFORTS[row.profile].seconds,
    )
