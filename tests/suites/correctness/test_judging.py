"""The judge finds what is wrong: mutants of a core, and mutants of the definition itself."""

import inspect
import textwrap
from dataclasses import replace

import pytest
import torch

from attnbench.contract import Reduction
from attnbench.execute.subject import Measurement, Subject
from attnbench.nouns import Profile, Status
from attnbench_impls.dense_softmax import multi_head
from attnbench_impls.dense_softmax.multi_head import MultiHead, matmul, sdpa, visible
from attnbench_impls.kernels.softmax import masked_softmax
from attnbench_suites.correctness import SUITE
from attnbench_suites.correctness.judge import judge
from attnbench_suites.correctness.measure import measure

SEED = 11
DEFINITION = textwrap.dedent(inspect.getsource(MultiHead.mix))
REDUCTIONS = tuple(one for one in vars(multi_head).values() if isinstance(one, Reduction))
FACTS = MultiHead.facts.model_copy(update={"reductions": tuple((one.name, one.says) for one in REDUCTIONS)})
CASES = list(SUITE.cases(FACTS, matmul.facts, "cpu", Profile.SMOKE))


def verdict(core, case):
    """Measure and judge one case as worker and judge do."""
    subject = Subject(MultiHead, FACTS, matmul.facts, core, REDUCTIONS)
    measured = measure(subject, case, SEED, "cpu")
    sent = Measurement(tensors={name: tensor.detach() for name, tensor in measured.tensors.items()})
    return judge(MultiHead, case, SEED, sent)


def finders(core, cases=CASES) -> list[str]:
    """The kinds of case that a core fails; one that raises fails too."""
    found = []
    for case in cases:
        try:
            status = verdict(core, case).status
        except (RuntimeError, IndexError, ValueError):
            status = Status.CRASHED
        if status is not Status.PASSED:
            found.append(case.kind)
    return found


def attend(operands, allowed):
    """Attention to the keys that are allowed."""
    weights = masked_softmax(operands.scale * (operands.q @ operands.k.mT), allowed)
    return weights @ operands.v


def off_by_one(operands):
    next_one_too = torch.nn.functional.pad(visible(operands), (1, 0))[..., :-1]
    return attend(operands, next_one_too | visible(operands))


def without_the_last_key(operands):
    keys = torch.arange(operands.k.shape[2])
    return attend(operands, visible(operands) & (keys < max(1, len(keys) - 1)))


def wrong_gradient(operands):
    q = operands.q
    return matmul(operands) + 0.01 * (q - q.detach()).sum()


def coarse(operands):
    return matmul(operands.to(torch.bfloat16)).to(operands.q.dtype)


def leaks_between_samples(operands):
    return matmul(operands.with_tensors({"v": 0.99 * operands.v + 0.01 * operands.v.mean(0)}))


def hides_new_keys(operands):
    """Each of several new tokens misses its own key where the cache already holds others."""
    if operands.causal and 1 < operands.q.shape[2] < operands.k.shape[2]:
        return attend(operands, torch.nn.functional.pad(visible(operands)[..., 1:], (0, 1)))
    return matmul(operands)


# mutant -> the kinds of case that must find it, at least
MUTANTS = {
    "sign": (lambda operands: matmul(replace(operands, scale=-operands.scale)), {"forward", "gradients", "decode"}),
    "scale": (lambda operands: matmul(replace(operands, scale=1.02 * operands.scale)), {"forward", "gradients"}),
    "off by one": (off_by_one, {"forward", "causal_weights", "decode", "reduction"}),
    "last key": (without_the_last_key, {"forward", "gradients", "decode"}),
    "mean of v": (lambda operands: operands.v.mean(2, keepdim=True) + 0 * matmul(operands), {"forward", "decode"}),
    "zeros": (lambda operands: 0 * matmul(operands), {"forward", "rows_sum_to_one", "reduction"}),
    "swapped heads": (lambda operands: matmul(operands).flip(1), {"forward", "gradients", "reduction"}),
    "padding ignored": (lambda operands: matmul(replace(operands, key_padding=None)), {"forward", "gradients"}),
    "causality ignored": (lambda operands: matmul(replace(operands, causal=False)), {"causal_weights", "decode"}),
    "unnormalised": (lambda operands: 1.001 * matmul(operands), {"forward", "rows_sum_to_one", "reduction"}),
    "coarse": (coarse, {"forward", "gradients", "reduction"}),
    "leak": (leaks_between_samples, {"forward", "batch_independent"}),
    "resumed": (hides_new_keys, {"decode"}),
    "gradient only": (wrong_gradient, {"gradients"}),
    "detached": (lambda operands: matmul(operands).detach(), {"gradients"}),
}


@pytest.mark.parametrize("core", [MultiHead.mix, matmul.mix, sdpa.mix], ids=["reference", "torch", "sdpa"])
def test_honest_cores_pass(core):
    assert finders(core) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found(name):
    core, kinds = MUTANTS[name]
    found = set(finders(core))
    assert kinds <= found
    if name in {"gradient only", "detached"}:
        assert found == {"gradients"}


# what stands in the definition, and what one character makes of it
SLIPS = [
    ("range(last + 1)", "range(last + 0)"),
    ("else k.shape[2] - 1", "else k.shape[2] - 2"),
    ("- q.shape[2] + i", "+ q.shape[2] + i"),
    ("operands.scale * (k", "-operands.scale * (k"),
    ("operands.scale * (k", "operands.scale / (k"),
    ("weights / weights.sum()", "weights * weights.sum()"),
    ("@ q[b, h, i])", "@ q[b, h, 0])"),
    ("weights @ v[b,", "weights @ k[b,"),
]


def slipped(old: str, new: str):
    """The definition with one slip in its text."""
    assert DEFINITION.count(old) == 1
    names: dict[str, object] = {}
    exec(DEFINITION.replace(old, new), vars(multi_head) | {"staticmethod": lambda function: function}, names)  # noqa: S102
    return names["mix"]


@pytest.mark.parametrize(("old", "new"), SLIPS)
def test_a_slip_in_the_definition_is_found(old, new, monkeypatch):
    mutated = slipped(old, new)
    monkeypatch.setattr(MultiHead, "mix", staticmethod(mutated))
    forward = [case for case in CASES if case.kind == "forward"]
    assert finders(matmul.mix, forward), "the other implementations agree with it"
    reductions = [case for case in CASES if case.kind == "reduction"]
    assert finders(mutated, reductions), "its own reductions hold"


def test_numbers_come_with_the_verdict():
    case = next(case for case in CASES if case.kind == "forward")
    said = verdict(matmul.mix, case)
    assert said.status is Status.PASSED
    assert 0 < said.metrics["error"].value < said.metrics["bound"].value == 1e-5
    wrong = judge(MultiHead, case, SEED, Measurement(tensors={"out": torch.zeros(2, 4, 17, 8)}))
    assert (wrong.status, wrong.metrics["error"].value) == (Status.WRONG, pytest.approx(1.0))
    assert "relative error 1.00e+00 > 1e-05; worst at [" in wrong.reason


def test_the_seed_decides_the_inputs():
    case = next(case for case in CASES if case.kind == "forward")
    subject = Subject(MultiHead, FACTS, matmul.facts, matmul.mix, REDUCTIONS)
    first, second = (measure(subject, case, seed, "cpu") for seed in (1, 2))
    assert not torch.equal(first.tensors["out"], second.tensors["out"])
    assert judge(MultiHead, case, 1, second).status is Status.WRONG


def test_a_changed_operand_is_refused():
    def vandal(operands):
        operands.q.zero_()
        return matmul(operands)

    found = verdict(vandal, next(case for case in CASES if case.kind == "forward"))
    assert found.status is Status.WRONG
    assert "changed operand q" in found.reason


@pytest.mark.parametrize(("offset", "status"), [(-500.0, Status.PASSED), (16_000.0, Status.WRONG)])
def test_an_ill_conditioned_draw_is_held_to_twice_the_definitions_own_error(offset, status, monkeypatch):
    def through(far):
        return lambda operands: (matmul(operands) + far) - far

    monkeypatch.setattr(MultiHead, "mix", staticmethod(through(500.0)))
    case = next(case for case in CASES if case.kind == "forward" and case.dtype == "float32")
    found = verdict(through(offset), case)
    assert found.status is status
    assert found.metrics["bound"].value > 1e-5
