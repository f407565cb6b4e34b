"""The one recipe by which every model of this suite is trained."""

import math
import time
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.facts import Case
from attnbench_suites.accuracy.streams import Batch, Split, option
from attnbench_suites.accuracy.tasks import Task

POINTS = 50
WARM_UP = 50
CLIP = 1.0


@dataclass
class Curve:
    """How a training went.

    Attributes:
        loss: mean training loss of each of about 50 equal stretches of steps; only finite ones.
        steps: steps taken; fewer than asked for where the loss stopped being finite.
        tokens: tokens read.
        seconds: time taken.
    """

    loss: list[float] = field(default_factory=list)
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0


def train(model: nn.Module, task: Task, case: Case, seed: int, device: str) -> Curve:
    """Train with AdamW, a linear warm-up, cosine decay to zero and clipped gradients, until done or diverged."""
    steps = option(case, "steps")
    stretch = max(1, steps // POINTS)
    optimiser = torch.optim.AdamW(model.parameters(), lr=_rate(case), weight_decay=task.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _factor(step, steps))
    curve, recent, started = Curve(), [], time.perf_counter()
    model.train()
    for step in range(steps):
        batch = task.batch(case, Split.TRAIN, seed, step)
        logits, auxiliary = model(batch.to(torch.float32, device))
        loss = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten().to(device))
        if not math.isfinite(value := loss.item()):
            break
        optimiser.zero_grad()
        (loss + auxiliary).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        curve.steps += 1
        curve.tokens += batch.x.shape[0] * batch.x.shape[1]
        recent.append(value)
        if len(recent) == stretch:
            curve.loss.append(sum(recent) / stretch)
            recent.clear()
    curve.seconds = time.perf_counter() - started
    return curve


@torch.no_grad()
def predict(model: nn.Module, held_out: Batch, rows: int, device: str) -> Tensor:
    """Return the likeliest answers (B, A) on the CPU, computed `rows` examples at a time."""
    model.eval()
    parts = []
    for start in range(0, len(held_out.x), rows):
        part = held_out.map(lambda tensor: tensor[start : start + rows])  # noqa: B023 - called before the next turn
        logits, _ = model(part.to(torch.float32, device))
        parts.append(logits.argmax(-1).cpu())
    return torch.cat(parts)


def _rate(case: Case) -> float:
    rate = case.options["lr"]
    if not isinstance(rate, float):
        raise TypeError(f"{case.id}: lr must be a number")
    return rate


def _factor(step: int, steps: int) -> float:
    """Share of the learning rate at a step: a ramp (at most half of a short training), then a half cosine."""
    ramp = min(WARM_UP, steps // 2)
    if step < ramp:
        return (step + 1) / ramp
    return 0.5 * (1 + math.cos(math.pi * (step - ramp) / (steps - ramp)))
