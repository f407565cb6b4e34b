"""What the worker does for a case of the latency suite: time the core against the baseline, keep some of its results.

Importing this module binds the clocks.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import SystemRandom

import torch
import torch._functorch.config
from torch import Tensor

from attnbench.clocks import cache_bytes
from attnbench.contract import Operands
from attnbench.execute.subject import Measurement, Subject
from attnbench.facts import Case
from attnbench.timing import Keeper, Timing, rotated_sets, time_paired
from attnbench_suites.latency.baselines import BASELINES
from attnbench_suites.latency.cases import EFFORTS, Direction
from attnbench_suites.latency.problem import Problem
from attnbench_suites.latency.work import Core, named, work
from attnbench_suites.workloads import integer

DRAWING_S = 2.0


def measure(subject: Subject, case: Case, seed: int, device: str) -> Measurement:
    """Time one case.

    Returns:
        samples: `implementation_s` and `baseline_s`, seconds a call, in the order of the blocks; sample i of both was
            taken in block `block_index[i]`.
        tensors: excerpts of the results of secretly chosen timed calls, as `<set of inputs>.rows.<name>` and
            `<set of inputs>.shape.<name>`; and of one set computed where it lies (`origin`) and at another set's
            address (`moved`).
        numbers: the cache regime, the first call, calls a sample, and for decoding the bytes of state a token.

    Raises:
        Unsupported: the implementation does not carry the case.
    """
    problem, effort, rng = Problem(subject.variant, case, seed), EFFORTS[case.profile], SystemRandom()
    with _graphs_kept(), torch.no_grad():
        sets = _draw_sets(problem, device)
        baseline = BASELINES[str(case.options["baseline"])]
        others = [baseline.operands(case, problem.draw(i)).to(problem.rounded, device) for i in range(len(sets))]
        works = [work(problem, subject.core, one, index) for index, one in enumerate(sets)]
        paired = [work(problem, baseline.core, one, index) for index, one in enumerate(others)]
        keeper = Keeper(lambda index, result: problem.excerpt(works[index].named(result)), rng)
        timing = time_paired(
            {"implementation": [one.call for one in works], "baseline": [one.call for one in paired]},
            device=device,
            budget_s=effort.budget_s,
            target=effort.target,
            rng=rng,
            watch={"implementation": keeper},
        )
        tensors = {f"{index}.{name}": one for index, kept in keeper.kept.items() for name, one in kept.items()}
        if case.kind != Direction.BACKWARD:
            tensors |= _moved(problem, subject.core, sets[0], sets[1])
    numbers = {
        "rotated_sets": len(sets),
        "cache_multiple": sum(map(_bytes, sets)) / cache_bytes(device),
        "first_call_s": timing.first_call_s["implementation"],
        "calls_a_sample": timing.calls["implementation"],
    }
    return Measurement(tensors=tensors, samples=_samples(timing), numbers=numbers | _state(subject, case, seed))


def _draw_sets(problem: Problem, device: str) -> list[Operands]:
    """Draw the sets of operands: two or more, and no more than can be projected in a short time."""
    start = time.monotonic()
    sets = [problem.operands(0).to(problem.rounded, device)]
    wanted = rotated_sets(_bytes(sets[0]), device)
    while len(sets) < 2 or (len(sets) < wanted and time.monotonic() - start < DRAWING_S):
        sets.append(problem.operands(len(sets)).to(problem.rounded, device))
    return sets


def _bytes(operands: Operands) -> int:
    return sum(tensor.nbytes for tensor in operands.tensors().values())


def _moved(problem: Problem, core: Core, one: Operands, other: Operands) -> dict[str, Tensor]:
    """Compute one set where it lies, then from the other's address: a result remembered by address does not follow.

    Sets of unequal shapes cannot change places, and give nothing.
    """
    source, place = one.tensors(), other.tensors()
    floats = [name for name, tensor in source.items() if tensor.is_floating_point()]
    if any(source[name].shape != place[name].shape for name in floats):
        return {}
    results = {"origin": named(core(one))}
    for name in floats:
        place[name].copy_(source[name])
    rest = {name: tensor for name, tensor in source.items() if name not in floats}
    results["moved"] = named(core(other.with_tensors(rest) if rest else other))
    return {f"{kind}.{name}": each for kind, some in results.items() for name, each in problem.excerpt(some).items()}


def _samples(timing: Timing) -> dict[str, list[float]]:
    flat = {f"{name}_s": [one for block in blocks for one in block] for name, blocks in timing.blocks.items()}
    block_index = [float(i) for i, block in enumerate(timing.blocks["implementation"]) for _ in block]
    return {**flat, "block_index": block_index}


def _state(subject: Subject, case: Case, seed: int) -> dict[str, float]:
    """Count the state's bytes in the case's own dtype."""
    if case.kind != Direction.DECODE:
        return {}
    _, state = Problem(subject.variant, case, seed, drawn=getattr(torch, case.dtype)).decode(0)
    return {"state_bytes": state.nbytes / (integer(case, "batch") * integer(case, "n"))}


@contextmanager
def _graphs_kept() -> Iterator[None]:
    """Let compiled code keep what its backward reads: by default it gives that away in the first of many calls."""
    with torch._functorch.config.patch(donated_buffer=False):
        yield
