"""What a task is to training and judging."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import nn

from attnbench.contract import Stack
from attnbench.facts import Case, VariantFacts
from attnbench_suites.accuracy.streams import Batch, Split


class Task(ABC):
    """Data with known answers, and the backbone that is trained on it.

    Attributes:
        weight_decay: AdamW's.
    """

    weight_decay: ClassVar[float] = 0.01

    @abstractmethod
    def classes(self, case: Case) -> int:
        """Say how many answers there are to choose from."""

    @abstractmethod
    def batch(self, case: Case, split: Split, seed: int, step: int = 0) -> Batch:
        """Make one training batch, or the whole held-out set of the other splits."""

    @abstractmethod
    def backbone(self, case: Case, facts: VariantFacts, mixers: Stack[Any]) -> nn.Module:
        """Build the untrained model around the mixers: Batch -> (logits (B, A, classes), auxiliary loss)."""
