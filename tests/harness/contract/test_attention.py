"""The template: three steps, a state for decoding, and stacks whose layers share an object."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from attnbench.contract import (
    DecodableAttention,
    Extra,
    Extras,
    Fidelity,
    Layout,
    Operands,
    Outputs,
    Paper,
    Pattern,
    Place,
    Sequence,
    Stack,
    State,
    TensorRecord,
    variant,
)
from attnbench.contract.admission import admit
from attnbench.errors import UserError


@dataclass(frozen=True, kw_only=True)
class SumOperands(Operands):
    """Tokens, atoms and the sum so far."""

    v: Tensor
    atoms: Tensor
    start: Tensor


@dataclass(frozen=True, kw_only=True)
class Sums(TensorRecord):
    out: Tensor
    last: Tensor


@dataclass
class Total(State):
    value: Tensor

    @property
    def nbytes(self) -> int:
        return self.value.nbytes

    def clone(self) -> "Total":
        return replace(self, value=self.value.clone())


@variant(
    slug="running_sum",
    paper=Paper(title="Made up for these tests", year=2026),
    family="linear",
    layout=Layout.SEQUENCE,
    patterns={Pattern.CAUSAL_SELF, Pattern.DECODE},
    fidelity=Fidelity.KNOWN_WELL,
    mechanisms=(),
    accepts={Extra.SEGMENTS},
)
class RunningSum(DecodableAttention[Sequence, SumOperands, Sums, Total]):
    """Sums of the tokens so far, mixed by atoms that all layers of a stack share."""

    def __init__(self, dim: int, heads: int, *, place: Place = Place(), gain: float = 1.0) -> None:
        super().__init__()
        self.place, self.gain = place, gain
        shared = place.shared or self.shared(dim, heads)
        self.atoms = shared["atoms"]

    @classmethod
    def shared(cls, dim, heads, **hyperparameters):
        return nn.ModuleDict({"atoms": nn.Linear(dim, dim, bias=False, dtype=torch.float64)})

    def project(self, inputs):
        return SumOperands(v=inputs.x, atoms=self.atoms.weight, start=torch.zeros_like(inputs.x[:, :1]))

    @staticmethod
    def mix(operands):
        sums = operands.start + operands.v.cumsum(1)
        return Sums(out=sums @ operands.atoms.T, last=sums[:, -1:])

    def merge(self, mixed, inputs):
        return Outputs(streams=(self.gain * mixed.out,), carry={f"from{self.place.index}": mixed.last})

    def init_state(self, batch, capacity):
        return Total(torch.zeros(batch, 1, self.atoms.in_features, dtype=torch.float64))

    def extend(self, inputs, state):
        return replace(self.project(inputs), start=state.value), state

    def absorb(self, state, mixed):
        return Total(mixed.last)


def tokens(n: int = 6) -> Sequence:
    made = torch.Generator().manual_seed(0)
    return Sequence(x=torch.randn(2, n, 4, generator=made, dtype=torch.float64), causal=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"causal": False}, "running_sum is not defined for noncausal_self, only for causal_self, decode"),
        ({"context": torch.zeros(2, 3, 4)}, "not defined for causal_cross"),
        ({"extras": Extras(key_padding=torch.ones(2, 6).bool())}, "running_sum does not read key_padding"),
    ],
)
def test_inputs_that_would_be_ignored_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        RunningSum(4, 1)(replace(tokens(), **change))


def test_accepted_extras_and_a_generator_are_let_in():
    extras = Extras(segments=torch.zeros(2, 6).long(), generator=torch.Generator())
    assert RunningSum(4, 1)(replace(tokens(), extras=extras)).x.shape == (2, 6, 4)


def test_a_core_is_replaced_and_nothing_else():
    module = RunningSum(4, 1)
    honest = module(tokens()).x
    seen = []

    def core(operands):
        seen.append(operands)
        return RunningSum.mix(operands)

    assert module.use(core) is module
    assert torch.equal(module(tokens()).x, honest)
    assert torch.equal(seen[0].v, tokens().x)


@pytest.mark.parametrize("cuts", [(6,), (1, 2, 3, 4, 5, 6), (4, 5, 6), (2, 6)])
def test_steps_of_any_size_equal_the_full_run(cuts):
    module = RunningSum(4, 1)
    state, outputs, start = module.init_state(2, 6), [], 0
    for end in cuts:
        out, state = module.step(replace(tokens(), x=tokens().x[:, start:end]), state)
        outputs.append(out.x)
        start = end
    assert torch.allclose(torch.cat(outputs, 1), module(tokens()).x, atol=1e-12)
    assert state.nbytes == 2 * 4 * 8


def test_a_decode_can_be_split():
    module = RunningSum(4, 1)
    _, state = module.step(tokens(3), module.init_state(2, 6))
    spare = state.clone()
    first, _ = module.step(tokens(1), state)
    second, _ = module.step(tokens(1), spare)
    assert torch.equal(first.x, second.x)


def test_the_layers_of_a_stack_share_one_object_and_know_their_place():
    stack = RunningSum.stack(3, 4, 1, gain=0.5)
    assert [(layer.place.index, layer.place.depth, layer.gain) for layer in stack.layers] == [
        (0, 3, 0.5),
        (1, 3, 0.5),
        (2, 3, 0.5),
    ]
    assert len({id(layer.atoms) for layer in stack.layers}) == 1
    assert len(list(stack.parameters())) == 1
    stack(tokens()).x.sum().backward()
    assert stack.shared["atoms"].weight.grad.abs().min() > 0


def test_a_stack_runs_its_layers_in_order_and_hands_the_carry_on():
    stack = RunningSum.stack(2, 4, 1)
    x, seen = tokens().x, []
    stack.layers[1].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    weight = stack.shared["atoms"].weight
    expected = (x.cumsum(1) @ weight.T).cumsum(1) @ weight.T
    assert torch.allclose(stack(tokens()).x, expected)
    assert torch.allclose(seen[0].carry["from0"], x.sum(1, keepdim=True))


def test_layers_built_alone_share_nothing():
    assert RunningSum(4, 1).atoms is not RunningSum(4, 1).atoms


def test_an_empty_stack_has_no_output():
    with pytest.raises(ValueError, match="at least one layer"):
        Stack([], nn.ModuleDict())(tokens())


def test_a_missing_extra_is_named():
    needy = RunningSum.facts.model_copy(update={"requires": frozenset({Extra.TIMES})})
    with pytest.raises(UserError, match="running_sum needs times: give it in the extras of its inputs"):
        admit(needy, tokens())
