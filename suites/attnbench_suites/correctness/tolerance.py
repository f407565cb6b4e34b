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


def compare(
    got: Mapping[str, Tensor], expected: Mapping[str, Tensor], limit: float, dtype: torch.dtype | None = None
) -> Comparison:
    """Compare named tensors, worst over (batch, head): forms, finiteness, integers exactly, floats to `limit`.

    Args:
        got: what was computed.
        expected: what the definition says.
        limit: the largest relative error that passes.
        dtype: what floats must have been computed in, or in float32 where that is wider; None for anything.
    """
    if set(got) != set(expected):
        return Comparison(False, None, f"it returned {sorted(got)}, the definition returns {sorted(expected)}")
    floats = [tensor for tensor in expected.values() if tensor.is_floating_point() and tensor.numel()]
    squares = [tensor.double().square().mean() for tensor in floats]
    typical = float(torch.stack(squares).mean().sqrt()) if squares else 0.0
    worst = 0.0
    for name, right in expected.items():
        unfit = _unfit(got[name], right, dtype)
        if unfit:
            return Comparison(False, None, f"{name}{unfit}")
        if not right.is_floating_point():
            continue
        error = relative_error(got[name].double(), right.double(), typical)
        worst = max(worst, error)
        if not error <= limit:
            shown = error if math.isfinite(error) else None
            detail = _worst(got[name].double(), right.double())
            return Comparison(False, shown, f"{name}: relative error {error:.2e} > {limit:.0e}; {detail}")
    return Comparison(True, worst)


def _unfit(tensor: Tensor, right: Tensor, dtype: torch.dtype | None) -> str:
    """Say why a tensor is wrong whatever the tolerance; nothing where it is not."""
    if tensor.shape != right.shape:
        return f": shape {tuple(tensor.shape)}, expected {tuple(right.shape)}"
    if not right.is_floating_point():
        return "" if torch.equal(tensor, right) else f": {_worst(tensor.double(), right.double())}"
    finite = tensor.double().isfinite()
    if not finite.all():
        where = tuple((~finite).nonzero()[0].tolist())
        return f"{list(where)} is {float(tensor[where])}"
    wide_enough = {dtype, torch.float32} if dtype and dtype.itemsize < torch.float32.itemsize else {dtype}
    return f": {tensor.dtype} instead of {dtype}" if dtype and tensor.dtype not in wide_enough else ""


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
