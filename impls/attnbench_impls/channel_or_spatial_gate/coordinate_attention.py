"""Coordinate attention: a gate for each row and a gate for each column of a feature map."""

import itertools
from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Attention,
    Claim,
    FeatureMap,
    Fidelity,
    Layout,
    Operands,
    Outputs,
    Pattern,
    Place,
    TensorRecord,
    Trial,
    implementation,
    reduction,
    variant,
)
from attnbench_impls.kernels.affine import Affine, Statistics


@dataclass(frozen=True, kw_only=True)
class GateOperands(Operands):
    """A feature map and the weights of its gates; m channels in the middle.

    Attributes:
        x: (B, C, height, width).
        squeeze: C to m channels, shared by rows and columns.
        norm: of the m channels.
        rows: m to C channels, the gate of a row.
        columns: m to C channels, the gate of a column.
        running: statistics of the m channels.
        training: whether to normalise with the statistics of this batch.
        momentum: share of this batch in the new running statistics.
        eps: added to the variance.
    """

    CONSTANT = frozenset({"running"})

    x: Tensor
    squeeze: Affine
    norm: Affine
    rows: Affine
    columns: Affine
    running: Statistics
    training: bool
    momentum: float
    eps: float

    def at_least_float32(self) -> Self:
        """Return these operands wide enough for sums over a map: half precision becomes float32."""
        return self.to(torch.promote_types(self.x.dtype, torch.float32), self.x.device)


@dataclass(frozen=True, kw_only=True)
class Gated(TensorRecord):
    """The gated map (B, C, height, width), and the running statistics (m,) after it: the old ones in evaluation."""

    CONSTANT = frozenset({"running"})

    x: Tensor
    running: Statistics


@variant(
    slug="coordinate_attention",
    paper="coordinate_attention",
    family="channel_or_spatial_gate",
    layout=Layout.FEATURE_MAP,
    patterns={Pattern.NONCAUSAL_SELF},
    fidelity=Fidelity.CODE_VERIFIED,
    settings={"correctness": [{}, {"reduction": 2, "bn_eps": 0.1}]},
    claims=[Claim(text="More accurate than squeeze-and-excitation at almost no compute", metric="top-1 accuracy")],
)
class CoordinateAttention(Attention[FeatureMap, GateOperands, Gated]):
    """Gates each row and each column by its own mean, so that the gate knows where, not only in which channel.

    The means over each row and over each column of x (B, C, height, width) pass one shared 1 x 1 convolution to m
    channels, batch normalisation and h-swish; two 1 x 1 convolutions and sigmoids make a row and a column gate; the
    output is x times both. Training normalises over the batch and all rows and columns at once: samples then mix.
    There are no heads: that argument changes nothing. Convolutions start as torch's default has them.
    Source: Coordinate Attention for Efficient Mobile Network Design, 2021.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        reduction: int = 32,
        min_mid_channels: int = 8,
        bn_eps: float = 1e-5,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        middle = max(min_mid_channels, dim // reduction)
        self.squeeze = nn.Linear(dim, middle)
        self.norm_weight = nn.Parameter(torch.ones(middle))
        self.norm_bias = nn.Parameter(torch.zeros(middle))
        self.rows = nn.Linear(middle, dim)
        self.columns = nn.Linear(middle, dim)
        self.running_mean = nn.Buffer(torch.zeros(middle))
        self.running_var = nn.Buffer(torch.ones(middle))
        self.eps, self.momentum = bn_eps, bn_momentum

    def project(self, inputs: FeatureMap) -> GateOperands:
        """Hand over the map and all weights: the core is the whole module."""
        return GateOperands(
            x=inputs.x,
            squeeze=Affine(weight=self.squeeze.weight, bias=self.squeeze.bias),
            norm=Affine(weight=self.norm_weight, bias=self.norm_bias),
            rows=Affine(weight=self.rows.weight, bias=self.rows.bias),
            columns=Affine(weight=self.columns.weight, bias=self.columns.bias),
            running=Statistics(mean=self.running_mean, var=self.running_var),
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )

    @staticmethod
    def mix(operands: GateOperands) -> Gated:
        """Walk over samples, rows and columns: means, one table of them, two gates, and the product place by place."""
        kind, operands = operands.x.dtype, operands.at_least_float32()
        x, squeeze, norm = operands.x, operands.squeeze, operands.norm
        batch, _, height, width = x.shape
        table = []
        for b in range(batch):
            table += [x[b, :, i, :].sum(-1) / width for i in range(height)]
            table += [x[b, :, :, j].sum(-1) / height for j in range(width)]
        f = torch.stack(table) @ squeeze.weight.T + squeeze.bias
        mean, var = operands.running.mean, operands.running.var
        if operands.training:
            mean, var = f.mean(0), ((f - f.mean(0)) ** 2).mean(0)
        f = (f - mean) / (var + operands.eps).sqrt() * norm.weight + norm.bias
        f = f * (f + 3).clamp(0, 6) / 6
        row_gates = (f @ operands.rows.weight.T + operands.rows.bias).sigmoid()
        column_gates = (f @ operands.columns.weight.T + operands.columns.bias).sigmoid()
        places = []
        for b, i, j in itertools.product(range(batch), range(height), range(width)):
            first = b * (height + width)
            places.append(x[b, :, i, j] * row_gates[first + i] * column_gates[first + height + j])
        out = torch.stack(places).reshape(batch, height, width, -1).permute(0, 3, 1, 2).to(kind)
        if not operands.training:
            return Gated(x=out, running=operands.running)
        running_mean = operands.running.mean + operands.momentum * (mean - operands.running.mean)
        running_var = operands.running.var + operands.momentum * (var * len(f) / (len(f) - 1) - operands.running.var)
        return Gated(x=out, running=Statistics(mean=running_mean.detach(), var=running_var.detach()))

    def merge(self, mixed: Gated, inputs: FeatureMap) -> Outputs:
        """Keep the new running statistics when training, and return the map."""
        if self.training:
            with torch.no_grad():
                self.running_mean.copy_(mixed.running.mean)
                self.running_var.copy_(mixed.running.var)
        return Outputs.of(mixed.x)


@implementation(of=CoordinateAttention, name="torch")
def pooled(operands: GateOperands) -> Gated:
    """Two reductions, gates in at least float32 by small matmuls, and one broadcast product."""
    wide = operands.at_least_float32()
    x, squeeze, norm, running = wide.x, wide.squeeze, wide.norm, wide.running
    f = squeeze.weight @ torch.cat([x.mean(3), x.mean(2)], 2) + squeeze.bias[:, None]
    mean, var = running.mean, running.var
    if wide.training:
        var, mean = torch.var_mean(f, (0, 2), correction=0)
        new_mean = running.mean.lerp(mean.detach(), wide.momentum)
        running = Statistics(mean=new_mean, var=running.var.lerp(f.detach().var((0, 2)), wide.momentum))
    gain = norm.weight * (var + wide.eps).rsqrt()
    f = F.hardswish(f * gain[:, None] + (norm.bias - mean * gain)[:, None])
    by_row, by_column = f.split(list(x.shape[2:]), 2)
    row_gates = (wide.rows.weight @ by_row + wide.rows.bias[:, None]).sigmoid()
    column_gates = (wide.columns.weight @ by_column + wide.columns.bias[:, None]).sigmoid()
    gated = x * (row_gates[..., None] * column_gates[:, :, None])
    return Gated(x=gated.to(operands.x.dtype), running=running)


Run = Trial[GateOperands, Gated]


def _drawn(trial: Run, height: int, width: int) -> GateOperands:
    """Draw a map of 4 channels and gates with 3 channels in the middle, training in every other trial."""
    module = trial.module(CoordinateAttention(4, 1, min_mid_channels=3)).train(trial.size % 2 == 0)
    return module.project(FeatureMap(x=trial.normal(2, 4, height, width)))


def _constant(operands: GateOperands, bias: float) -> Affine:
    """Return a gate that is sigmoid(bias) everywhere."""
    return operands.rows.map(torch.zeros_like).with_tensors({"bias": torch.full_like(operands.rows.bias, bias)})


def _gate(operands: GateOperands, means: Tensor, gate: Affine) -> tuple[Tensor, Tensor]:
    """Return the gates (R, C) of R means, normalised among themselves in training, and the statistics (2, m) after."""
    f = F.linear(means, operands.squeeze.weight, operands.squeeze.bias)
    mean, var, norm = operands.running.mean.clone(), operands.running.var.clone(), operands.norm
    f = F.batch_norm(f, mean, var, norm.weight, norm.bias, operands.training, operands.momentum, operands.eps)
    return F.linear(F.hardswish(f), gate.weight, gate.bias).sigmoid(), torch.stack([mean, var])


@reduction(of=CoordinateAttention, says="both gate convolutions zero: out = x / 4")
def closed_half(trial: Run) -> tuple[Tensor, Tensor]:
    """Two gates of one half multiply."""
    operands = _drawn(trial, trial.size, 3)
    half = _constant(operands, 0.0)
    return trial.mix(replace(operands, rows=half, columns=half)).x, operands.x / 4


@reduction(of=CoordinateAttention, says="gates that a bias of 30 holds open, whatever the map: out = x")
def open_gates(trial: Run) -> tuple[Tensor, Tensor]:
    """Gates that are one change nothing."""
    operands = _drawn(trial, trial.size, 3)
    wide = _constant(operands, 30.0)
    return trial.mix(replace(operands, rows=wide, columns=wide)).x, operands.x


@reduction(of=CoordinateAttention, says="an open column gate: each row is times its own gate, a squeeze-excite a row")
def rows_only(trial: Run) -> tuple[Tensor, Tensor]:
    """In evaluation a row's gate depends on that row alone."""
    drawn = _drawn(trial, trial.size, 3)
    operands = replace(drawn, training=False, columns=_constant(drawn, 40.0))
    gates, _ = _gate(operands, operands.x.mean(3).mT.flatten(0, 1), operands.rows)
    return trial.mix(operands).x, operands.x * gates.reshape(2, trial.size, 4).mT[..., None]


@reduction(of=CoordinateAttention, says="height = width = 1: x times two gates of x; training moves the statistics")
def one_place(trial: Run) -> tuple[Tensor, Tensor]:
    """Both means are x, so that every sample counts twice in the statistics."""
    operands = _drawn(trial, 1, 1)
    x, mixed = operands.x[:, :, 0, 0], trial.mix(operands)
    rows, running = _gate(operands, torch.cat([x, x]), operands.rows)
    columns, _ = _gate(operands, torch.cat([x, x]), operands.columns)
    got = torch.cat([mixed.x.flatten(), mixed.running.mean, mixed.running.var])
    return got, torch.cat([(x * rows[:2] * columns[:2]).flatten(), running.flatten()])


@reduction(of=CoordinateAttention, says="a transposed map with rows and columns swapped gives the transposed output")
def transposed(trial: Run) -> tuple[Tensor, Tensor]:
    """Rows and columns differ in nothing but their last convolution."""
    operands = _drawn(trial, trial.size, 3)
    swapped = replace(operands, x=operands.x.mT, rows=operands.columns, columns=operands.rows)
    return trial.mix(swapped).x.mT, trial.mix(operands).x
