"""Weights and running statistics as parts of operands, for cores that convolve and normalise inside."""

from dataclasses import dataclass

from torch import Tensor

from attnbench.contract import TensorRecord


@dataclass(frozen=True, kw_only=True)
class Affine(TensorRecord):
    """A weight, (out, in) of a 1 x 1 convolution or (out,) of a normalisation, and a bias (out,)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True, kw_only=True)
class Statistics(TensorRecord):
    """Running mean and unbiased running variance (C,) of a batch normalisation, never below float32."""

    PRECISE = frozenset({"mean", "var"})

    mean: Tensor
    var: Tensor
