"""How far from the definition is still right. The numbers are data of this suite's version."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from attnbench.nouns import Dtype

# Largest relative RMS error over the slices of a result: (outputs, gradients). A float32 path that rounds its
# logits to bfloat16, or a bfloat16 path that accumulates in bfloat16, lies above its line.
BOUNDS: Mapping[Dtype, tuple[float, float]] = {
    Dtype.FLOAT64: (1e-10, 1e-9),
    Dtype.FLOAT32: (1e-5, 5e-5),
    Dtype.FLOAT16: (1.5e-3, 4e-3),
    Dtype.BFLOAT16: (1e-2, 2e-2),
}
# A slice whose true value is small beside the others is measured against this share of their typical size:
# a gradient that is exactly zero has no relative error.
SMALL = 1e-1


@dataclass(frozen=True)
class Comparison:
    """The outcome of comparing tensors with what they should be.

    Attributes:
        error: the worst relative error, None where it has no meaning, as beside nothing but zeros.
        reason: where and how it failed; empty when it passed.
    """

    passed: bool
    error: float | None
    reason: str = ""


def bound(dtype: Dtype, *, gradients: bool) -> float:
    """Return the largest relative error of a passing result."""
    return BOUNDS[dtype][gradients]


def compare(got: Mapping[str, Tensor], expected: Mapping[str, Tensor], limit: float) -> Comparison:
    """Compare named tensors, worst over (batch, head): shapes, finiteness, integers exactly, floats to `limit`."""
    if set(got) != set(expected):
        return Comparison(False, None, f"it returned {sorted(got)}, the definition returns {sorted(expected)}")
    squares = [
        tensor.double().square().mean() for tensor in expected.values() if tensor.is_floating_point() and tensor.numel()
    ]
    typical = float(torch.stack(squares).mean().sqrt()) if squares else 0.0
    worst = 0.0
    for name, right in expected.items():
        tensor = got[name]
        if tensor.shape != right.shape:
            return Comparison(False, None, f"{name}: shape {tuple(tensor.shape)}, expected {tuple(right.shape)}")
        if not right.is_floating_point():
            if not torch.equal(tensor, right):
                return Comparison(False, None, f"{name}: {_worst(tensor.double(), right.double())}")
            continue
        wide = tensor.double()
        if not wide.isfinite().all():
            where = tuple((~wide.isfinite()).nonzero()[0].tolist())
            return Comparison(False, None, f"{name}{list(where)} is {float(wide[where])}")
        error = relative_error(wide, right.double(), typical)
        worst = max(worst, error)
        if not error <= limit:
            detail = _worst(wide, right.double())
            return Comparison(
                False,
                error if math.isfinite(error) else None,
                f"{name}: relative error {error:.2e} > {limit:.0e}; {detail}",
            )
    return Comparison(True, worst)


def relative_error(got: Tensor, expected: Tensor, typical: float) -> float:
    """Return ||got - expected|| / ||expected||, worst over the slices along the leading axes.

    Args:
        got: what was computed.
        expected: what the definition says, of the same shape.
        typical: RMS over all results of the case, against which small slices are measured.
    """
    if not expected.numel():
        return 0.0
    lead = max(0, min(2, expected.ndim - 2))
    difference, right = ((t.flatten(lead) if t.ndim > lead else t[..., None]) for t in (got - expected, expected))
    size = right.square().mean(-1).sqrt().clamp_min(SMALL * typical)
    off = difference.square().mean(-1).sqrt()
    return float(torch.where(off == 0, 0.0, off / size).max())


def _worst(got: Tensor, expected: Tensor) -> str:
    flat = (got - expected).abs().flatten()
    place = int(flat.argmax())
    index = [int(one) for one in torch.unravel_index(torch.tensor(place), got.shape)]
    return f"worst at {index}: expected {float(expected.flatten()[place]):.9g}, got {float(got.flatten()[place]):.9g}"
