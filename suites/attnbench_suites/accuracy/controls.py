"""Mixers that cannot do what a task is about: a task measures mixing only where these fail."""

from typing import Any

import torch
from torch import nn

from attnbench.contract import Attention, Outputs, Stack


class NoMixer(Attention[Any, Any, Any]):
    """Returns zeros: every token is on its own, but for what the backbone itself mixes."""

    def forward(self, inputs: Any) -> Outputs:
        """Return zeros in the shape of the tokens."""
        return Outputs.of(torch.zeros_like(inputs.x))


def none(depth: int) -> Stack[Any]:
    """Build `depth` layers that mix nothing."""
    return Stack([NoMixer() for _ in range(depth)], nn.ModuleDict())
