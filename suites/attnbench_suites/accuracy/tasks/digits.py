"""Handwritten digits of 8 x 8 pixels, each pixel a token."""

from functools import cache
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from attnbench.contract import Stack
from attnbench.facts import Case, VariantFacts
from attnbench_suites import workloads
from attnbench_suites.accuracy.backbones.encoder import Encoder
from attnbench_suites.accuracy.streams import Batch, Split, generator
from attnbench_suites.accuracy.tasks.task import Task

PERMUTATION_SEED = 0
PARTS = {Split.TRAIN: slice(0, 1200), Split.VALIDATION: slice(1200, 1400), Split.TEST: slice(1400, 1797)}
"""1,400 images to learn from, the last 200 of them to choose the learning rate by; 397 to be scored on."""


class Digits(Task):
    """The optical digits of the UCI repository, as scikit-learn ships them: every pixel names the digit it is part of.

    Each token answers by itself, because the mean over tokens before one readout would do the mixing instead of the
    mixer: with it, a model without any mixer scores .73 to .94 here, at times above softmax. Token by token it knows
    its own pixel only, and scores .19.
    """

    def classes(self, case: Case) -> int:  # noqa: ARG002 - the same at every size
        """Ten digits."""
        return 10

    def batch(self, case: Case, split: Split, seed: int, step: int = 0) -> Batch:
        """Draw distinct training images, or return the whole of a held-out part."""
        images, digits = (part[PARTS[split]] for part in _permuted())
        if split is Split.TRAIN:
            order = torch.randperm(len(images), generator=generator(case, split, seed, step))
            rows = order[: workloads.integer(case, "batch")]
            images, digits = images[rows], digits[rows]
        asked = torch.arange(images.shape[1]).expand(len(images), -1)
        return Batch(x=images, asked=asked, labels=digits[:, None].expand_as(asked))

    def backbone(self, case: Case, facts: VariantFacts, mixers: Stack[Any]) -> nn.Module:
        """A pixel's brightness times a learned vector is its token."""
        embed = nn.Linear(1, workloads.integer(case, "dim"), bias=False)
        return Encoder(embed, mixers, case, facts, classes=self.classes(case))


@cache
def _permuted() -> tuple[Tensor, Tensor]:
    """All images (1797, 64, 1) with brightness in [0, 1] and all labels (1797,), in one fixed random order."""
    images, digits = load_digits(return_X_y=True)
    order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(PERMUTATION_SEED))
    return torch.tensor(images / 16, dtype=torch.float32)[order, :, None], torch.tensor(digits)[order]
