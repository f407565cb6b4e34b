"""Multi-query associative recall: pairs of key and value, then every key once more, where its value is due."""

from typing import Any

import torch
from torch import nn

from attnbench.contract import Stack
from attnbench.facts import Case, VariantFacts
from attnbench_suites import workloads
from attnbench_suites.accuracy.backbones.encoder import Encoder
from attnbench_suites.accuracy.streams import Batch, Split, generator, option
from attnbench_suites.accuracy.tasks.task import Task

HELD_OUT = 1024
POWER = 0.01


class Mqar(Task):
    """Zoology's generator without random fillers.

    Token 0 fills; keys are 1 to V/2 - 1, values V/2 to V - 1, both drawn without replacement. The sequence opens with
    its K pairs; the rest is slots of two tokens, and the key of each query stands first in a slot of its own, drawn
    without replacement with p(g) ~ g^(a-1), g = 1, 2, ..., a = 0.01: most keys are asked soon, a few late.

    Source: Zoology: Measuring and Improving Recall in Efficient Language Models, 2023.
    """

    weight_decay = 0.1

    def classes(self, case: Case) -> int:
        """Every token may be answered, though only values are right."""
        return option(case, "vocab")

    def batch(self, case: Case, split: Split, seed: int, step: int = 0) -> Batch:
        """Draw sequences; slots by the Gumbel top-k trick, which is sampling without replacement."""
        rows = workloads.integer(case, "batch") if split is Split.TRAIN else HELD_OUT
        n, pairs, half = workloads.integer(case, "n"), option(case, "pairs"), option(case, "vocab") // 2
        source = generator(case, split, seed, step)

        def draw(choices: int) -> torch.Tensor:
            return torch.rand(rows, choices, generator=source, dtype=torch.float64)

        keys = 1 + draw(half - 1).topk(pairs).indices
        values = half + draw(half).topk(pairs).indices
        slots = (n - 2 * pairs) // 2
        gumbel = -(-draw(slots).log()).log()
        places = (gumbel + (POWER - 1) * torch.arange(1, slots + 1, dtype=torch.float64).log()).topk(pairs).indices
        asked = 2 * pairs + 2 * places[torch.arange(rows)[:, None], draw(pairs).argsort()]
        x = torch.zeros(rows, n, dtype=torch.long)
        x[:, : 2 * pairs] = torch.stack([keys, values], -1).flatten(1)
        return Batch(x=x.scatter(1, asked, keys), asked=asked, labels=values)

    def backbone(self, case: Case, facts: VariantFacts, mixers: Stack[Any]) -> nn.Module:
        """Token embeddings, and the short convolution that frees all mixers of finding the previous token."""
        vocab = option(case, "vocab")
        embed = nn.Embedding(vocab, workloads.integer(case, "dim"))
        return Encoder(embed, mixers, case, facts, classes=vocab, convolution=3)
