"""How large each task is at each profile: data only, free of torch.

Quick sizes are those of the tasks' published miniatures, with one seed and one learning rate each, chosen so that a
fast mixer trains in well under a minute on one CPU core. Full sizes repeat every training for three seeds and the
whole grid of learning rates: the order of mixers inverts when some are undertrained, so that a rate is only chosen on
the validation stream, mixer by mixer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from attnbench.facts import Scalar
from attnbench.nouns import Layout, Pattern, Profile

GRID_OF_RATES = (1e-3, 3e-3, 1e-2)


@dataclass(frozen=True)
class Size:
    """One size of a task.

    Attributes:
        profile: the profile that asks for it.
        shape: batch, dim and heads, and n where the task's length is a choice.
        options: layers, steps, and what the task's generator reads.
        seconds: time after which a silent worker is stopped.
        rates: learning rates, each a case of its own.
        seeds: repetitions, each a case of its own.
    """

    profile: Profile
    shape: Mapping[str, int]
    options: Mapping[str, Scalar]
    seconds: float
    rates: tuple[float, ...] = (3e-3,)
    seeds: int = 1


@dataclass(frozen=True)
class Plan:
    """Where a task can be posed, and its sizes.

    Attributes:
        pattern: the pattern that a variant must carry.
        extents: the layouts that the task has a form in, each with the extents that the task fixes.
        sizes: from small to large.
    """

    pattern: Pattern
    extents: Mapping[Layout, Mapping[str, int]]
    sizes: tuple[Size, ...] = field(repr=False)


def _shape(dim: int, heads: int, **extents: int) -> Mapping[str, int]:
    return {"batch": 64, "dim": dim, "heads": heads, **extents}


def _recall(layers: int, steps: int, vocab: int, pairs: int) -> Mapping[str, Scalar]:
    return {"layers": layers, "steps": steps, "vocab": vocab, "pairs": pairs}


PLANS: Mapping[str, Plan] = {
    "mqar": Plan(
        pattern=Pattern.CAUSAL_SELF,
        extents={Layout.SEQUENCE: {}},
        sizes=(
            Size(Profile.SMOKE, _shape(32, 2, n=32), _recall(2, 40, 64, 4), seconds=120),
            Size(Profile.QUICK, _shape(64, 2, n=64), _recall(2, 600, 256, 8), seconds=600),
            Size(Profile.QUICK, _shape(32, 2, n=64), _recall(2, 900, 256, 16), seconds=600),
            Size(Profile.FULL, _shape(128, 4, n=256), _recall(4, 8000, 8192, 16), 7200, GRID_OF_RATES, 3),
            Size(Profile.FULL, _shape(128, 4, n=512), _recall(4, 8000, 8192, 64), 7200, GRID_OF_RATES, 3),
        ),
    ),
    "digits": Plan(
        pattern=Pattern.NONCAUSAL_SELF,
        extents={Layout.SEQUENCE: {"n": 64}, Layout.GRID2D: {"height": 8, "width": 8}},
        sizes=(
            Size(Profile.SMOKE, _shape(32, 2), {"layers": 2, "steps": 40}, seconds=120),
            Size(Profile.QUICK, _shape(32, 2), {"layers": 2, "steps": 600}, seconds=600),
            Size(Profile.FULL, _shape(128, 4), {"layers": 4, "steps": 5000}, 7200, GRID_OF_RATES, 3),
        ),
    ),
}
