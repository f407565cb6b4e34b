from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from attnbench.contract import (
    DecodableAttention,
    Fidelity,
    Layout,
    Operands,
    Outputs,
    Paper,
    Pattern,
    Place,
    Sequence,
    State,
    variant,
)
from attnbench_impls.dense_softmax.multi_head import MultiHead
from attnbench_suites.latency.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Sums(Operands):
    x: Tensor
    before: Tensor


@dataclass
class Total(State):
    value: Tensor

    @property
    def nbytes(self):
        return self.value.nbytes

    def clone(self):
        return Total(self.value.clone())


@variant(
    slug="running_sum",
    paper=Paper(title="A test's own mechanism", year=2020),
    family="linear",
    layout=Layout.SEQUENCE,
    patterns={Pattern.CAUSAL_SELF, Pattern.DECODE},
    fidelity=Fidelity.KNOWN_WELL,
)
class RunningSum(DecodableAttention[Sequence, Sums, Tensor, Total]):
    """Each token reads the sum of itself and all before it: a state that comes out of the core."""

    def __init__(self, dim, heads, *, place=Place()):
        super().__init__()
        self.w = nn.Linear(dim, dim, bias=False)

    def project(self, inputs):
        return Sums(x=self.w(inputs.x), before=torch.zeros_like(inputs.x[:, 0]))

    @staticmethod
    def mix(operands):
        return operands.before[:, None] + operands.x.cumsum(1)

    def merge(self, mixed, inputs):
        return Outputs.of(mixed)

    def init_state(self, batch, capacity):
        return Total(self.w.weight.new_zeros(batch, self.w.out_features))

    def extend(self, inputs, state):
        return Sums(x=self.w(inputs.x), before=state.value), state

    def absorb(self, state, mixed):
        return Total(mixed[:, -1])


def test_a_state_out_of_the_core_holds_all_earlier_tokens(case):
    problem = Problem(RunningSum, case("decode"), 5)
    operands, _ = problem.decode(1)
    whole = RunningSum.mix(Problem(RunningSum, case("forward"), 5).operands(1))
    assert operands.x.shape[1] == 1
    torch.testing.assert_close(problem.variant.mix(operands)[:, 0], whole[:, -1].double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["forward", "decode"])
def test_the_same_seed_makes_the_same_operands_and_another_set_others(kind, case):
    first, again = (Problem(MultiHead, case(kind), 9).operands(1).tensors() for _ in range(2))
    other = Problem(MultiHead, case(kind), 9).operands(2).tensors()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)
    assert {tensor.dtype for tensor in first.values()} == {torch.float32}
    assert not any(tensor.requires_grad for tensor in first.values())


def test_a_decoded_token_reads_the_whole_cache(case):
    operands = Problem(MultiHead, case("decode"), 9).operands(0)
    assert (operands.q.shape[2], operands.k.shape[2]) == (1, case("decode").shape["n"])


def test_gradients_that_flow_in_depend_on_seed_and_set_only(case):
    problem = Problem(MultiHead, case("backward"), 9)
    zeros, ones = {"out": torch.zeros(2, 3)}, {"out": torch.ones(2, 3, dtype=torch.float64)}
    first, same, other = problem.weights(zeros, 1), problem.weights(ones, 1), problem.weights(zeros, 2)
    assert torch.equal(first["out"].double(), same["out"])
    assert not torch.equal(first["out"], other["out"])
