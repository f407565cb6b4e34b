"""Pre-norm blocks over one sequence or grid of tokens, with an answer at each token that is asked."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import Grid, Inputs, Layout, Outputs, Pattern, Sequence, Stack
from attnbench.facts import Case, VariantFacts
from attnbench_suites import workloads
from attnbench_suites.accuracy.streams import Batch

INITIAL = 0.02
KNOWS_ORDER = {(family, Pattern.CAUSAL_SELF) for family in ("linear", "recurrent_or_ssm")}
"""(family, pattern) of mixers that know the order of tokens by themselves and get no positions. All others get
learned absolute ones; so do linear and recurrent mixers without causality, which see a set."""

Arrange = Callable[[Tensor, Mapping[str, Tensor]], Inputs]


class Encoder(nn.Module):
    """Blocks x + mixer(norm(x)), x + MLP(norm(x)); a final norm; one linear readout.

    Args:
        embed: the task's tokens or features -> (B, N, D); its weight is initialised here, as small as positions.
        mixers: a stack of the variant's layers, or of a control.
        case: names the layout, the pattern and the extents.
        facts: the variant's facts, which decide on positions.
        classes: how many answers there are to choose from.
        convolution: width of the depthwise causal convolution before every mixer; 0 for none.
    """

    def __init__(
        self,
        embed: nn.Embedding | nn.Linear,
        mixers: Stack[Any],
        case: Case,
        facts: VariantFacts,
        *,
        classes: int,
        convolution: int = 0,
    ) -> None:
        super().__init__()
        dim = workloads.integer(case, "dim")
        nn.init.normal_(embed.weight, std=INITIAL)
        self.embed = embed
        self.positions = None
        if (facts.family, case.pattern) not in KNOWS_ORDER:
            tokens = math.prod(workloads.integer(case, key) for key in ("n", "height", "width") if key in case.shape)
            self.positions = nn.Parameter(INITIAL * torch.randn(tokens, dim))
        arrange = _ARRANGE[case.layout](case)
        self.shared = mixers.shared
        self.blocks = nn.ModuleList(Block(mixer, arrange, dim, convolution) for mixer in mixers.layers)
        self.norm = nn.LayerNorm(dim)
        self.readout = nn.Linear(dim, classes)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the logits (B, A, classes), and the sum of the mixers' auxiliary losses."""
        h: Tensor = self.embed(batch.x)
        if self.positions is not None:
            h = h + self.positions
        carry: dict[str, Tensor] = {}
        auxiliary = h.new_zeros(())
        for block in self.blocks:
            h, outputs = block(h, carry)
            carry = {**carry, **outputs.carry}
            auxiliary = auxiliary + sum(outputs.aux.losses.values())
        answering = h.gather(1, batch.asked[..., None].expand(-1, -1, h.shape[-1]))
        return self.readout(self.norm(answering)), auxiliary


class Block(nn.Module):
    """One mixer and one MLP, each on the normed stream and added to it."""

    def __init__(self, mixer: nn.Module, arrange: Arrange, dim: int, convolution: int) -> None:
        super().__init__()
        self.before = nn.Sequential(nn.LayerNorm(dim))
        if convolution:
            self.before.append(ShortConvolution(dim, convolution))
        self.arrange = arrange
        self.mixer = mixer
        self.mlp = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, h: Tensor, carry: Mapping[str, Tensor]) -> tuple[Tensor, Outputs]:
        """Return the stream (B, N, D) behind this block, and all that the mixer returned."""
        outputs: Outputs = self.mixer(self.arrange(self.before(h), carry))
        h = h + outputs.x.reshape_as(h)
        return h + self.mlp(h), outputs


class ShortConvolution(nn.Module):
    """Depthwise causal convolution (B, N, D) -> (B, N, D): solves shifts, so that mixers are compared on recall."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.empty(width, dim).uniform_(-1, 1) / width**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Sum the token and those before it, each weighted by its tap."""
        width, n = self.taps.shape[0], x.shape[1]
        padded = F.pad(x, (0, 0, width - 1, 0))
        return sum((tap * padded[:, lag : lag + n] for lag, tap in enumerate(self.taps)), torch.zeros_like(x))


def _sequence(case: Case) -> Arrange:
    causal = case.pattern is Pattern.CAUSAL_SELF
    return lambda h, carry: Sequence(x=h, causal=causal, carry=carry)


def _grid(case: Case) -> Arrange:
    extents = (workloads.integer(case, "height"), workloads.integer(case, "width"))
    return lambda h, carry: Grid(x=h.unflatten(1, extents), carry=carry)


_ARRANGE: Mapping[Layout, Callable[[Case], Arrange]] = {Layout.SEQUENCE: _sequence, Layout.GRID2D: _grid}
