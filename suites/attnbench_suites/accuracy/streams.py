"""Batches, and where their randomness comes from: every one is a function of (task, split, seed, step)."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from attnbench.contract import TensorRecord
from attnbench.facts import Case, Scalar


class Split(StrEnum):
    """Disjoint streams: one to learn from, one to choose learning rates by, one to be scored on."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Batch(TensorRecord):
    """Examples with their answers.

    Attributes:
        x: (B, N) integer tokens, or (B, N, F) features.
        asked: (B, A) positions at which an answer is due.
        labels: (B, A) integer answers.
    """

    x: Tensor
    asked: Tensor
    labels: Tensor


def seed_of(case: Case, seed: int, *parts: Scalar) -> int:
    """Derive an independent seed for one purpose of a case, equal on every machine.

    Args:
        case: its kind and its `seed` option take part, its learning rate does not: rates are compared on equal data.
        seed: the run's seed.
        parts: the purpose, e.g. a split and a step.
    """
    words = "/".join(map(str, (case.kind, seed, case.options["seed"], *parts)))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:7])


def generator(case: Case, split: Split, seed: int, step: int) -> torch.Generator:
    """Return the source of one batch's randomness."""
    return torch.Generator().manual_seed(seed_of(case, seed, split, step))


def option(case: Case, key: str) -> int:
    """Read an integer option of a case."""
    value = case.options[key]
    if not isinstance(value, int):
        raise TypeError(f"{case.id}: {key} must be an integer")
    return value
