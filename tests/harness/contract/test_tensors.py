"""Records of tensors: what they carry, and what must not get lost on the way."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field
from typing import ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attnbench.contract import Extras, Outputs, Sequence, TensorRecord

NARROW = {torch.float16: 2, torch.bfloat16: 2, torch.float32: 4, torch.float64: 8}


@dataclass(frozen=True, kw_only=True)
class Inner(TensorRecord):
    PRECISE: ClassVar[frozenset[str]] = frozenset({"decay"})
    CONSTANT: ClassVar[frozenset[str]] = frozenset({"decay"})

    decay: Tensor
    gate: Tensor


@dataclass(frozen=True, kw_only=True)
class Outer(TensorRecord):
    PRECISE: ClassVar[frozenset[str]] = frozenset({"angles"})
    CONSTANT: ClassVar[frozenset[str]] = frozenset({"kept"})

    q: Tensor
    angles: tuple[Tensor, ...]
    inner: Inner
    named: Mapping[str, Tensor] = field(default_factory=dict)
    kept: Tensor | None = None
    index: Tensor
    scale: float = 0.5
    label: str = "plain"


def record(seed: int = 0) -> Outer:
    made = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=made, dtype=torch.float64)

    return Outer(
        q=draw(2, 3),
        angles=(draw(4), draw(1)),
        inner=Inner(decay=draw(2), gate=draw(2)),
        named={"late": draw(3), "early": draw(2)},
        kept=draw(2),
        index=torch.arange(3),
    )


NAMES = ["q", "angles.0", "angles.1", "inner.decay", "inner.gate", "named.late", "named.early", "kept", "index"]


def test_every_tensor_has_a_dotted_name_in_the_order_of_the_fields():
    assert list(record().tensors()) == NAMES


def test_map_reaches_every_tensor_and_leaves_the_rest():
    before, after = record(), record().map(lambda tensor: tensor + 1)
    assert all(torch.equal(after.tensors()[name], tensor + 1) for name, tensor in before.tensors().items())
    assert (after.scale, after.label, list(after.named)) == (0.5, "plain", ["late", "early"])
    assert isinstance(after.angles, tuple)
    assert isinstance(after.inner, Inner)


@given(st.sampled_from(list(NARROW)))
def test_precise_fields_never_go_below_float32(dtype):
    tensors = record().to(dtype).tensors()
    careful = dtype if NARROW[dtype] >= 4 else torch.float32
    expected = dict.fromkeys(NAMES, dtype) | {"index": torch.int64}
    expected |= dict.fromkeys(["angles.0", "angles.1", "inner.decay"], careful)
    assert {name: tensor.dtype for name, tensor in tensors.items()} == expected


def test_to_rounds_and_nothing_else():
    before, after = record(), record().to(torch.bfloat16)
    assert torch.equal(after.q, before.q.bfloat16())
    assert torch.equal(after.inner.decay, before.inner.decay.float())
    assert torch.equal(after.index, before.index)


def test_gradients_are_defined_for_floats_that_no_record_calls_constant():
    assert list(record().differentiable()) == [
        "q",
        "angles.0",
        "angles.1",
        "inner.gate",
        "named.late",
        "named.early",
    ]


@given(st.sets(st.sampled_from(NAMES)))
def test_replaced_tensors_stand_where_they_were_named(names):
    before = record()
    new = {name: torch.full_like(tensor, 7) for name, tensor in before.tensors().items() if name in names}
    after = before.with_tensors(new)
    for name, tensor in after.tensors().items():
        assert tensor is (new[name] if name in names else before.tensors()[name])


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(KeyError, match=r"no tensor named inner\.q, v"):
        record().with_tensors({"v": torch.zeros(1), "q": torch.zeros(2, 3), "inner.q": torch.zeros(1)})


def test_records_are_frozen():
    with pytest.raises(FrozenInstanceError):
        record().q = torch.zeros(1)
    with pytest.raises(FrozenInstanceError):
        Extras().segments = torch.zeros(1)


def test_an_empty_record_has_no_tensors():
    assert Extras().tensors() == {}
    assert Extras(generator=torch.Generator()).map(torch.neg).tensors() == {}


def test_inputs_keep_times_precise_and_out_of_gradients():
    made = Sequence(x=torch.zeros(1, 2, 4), extras=Extras(times=(torch.zeros(1, 2),))).to(torch.bfloat16)
    assert made.extras.times[0].dtype == torch.float32
    assert list(made.differentiable()) == ["x"]


def test_the_next_layer_reads_what_the_one_before_wrote():
    first = Sequence(x=torch.zeros(1, 2, 4), causal=True, carry={"old": torch.zeros(1), "both": torch.zeros(1)})
    wrote = Outputs(streams=(torch.ones(1, 2, 4),), carry={"both": torch.ones(1), "new": torch.ones(1)})
    second = first.advance(wrote)
    assert second.causal
    assert second.x is wrote.x
    assert {name: float(tensor) for name, tensor in second.carry.items()} == {"old": 0, "both": 1, "new": 1}
