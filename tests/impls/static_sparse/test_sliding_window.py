import shutil

import pytest
import torch

from attnbench.contract import Draw, Sequence, Unsupported
from attnbench.errors import UserError
from attnbench_impls.static_sparse.sliding_window import SlidingWindow, WindowOperands, banded, flex

CORES = [SlidingWindow.mix, banded]
COMPILING = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="flex_attention on the CPU needs a C++ compiler"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning"),
]


def heads(queries, keys, *, dtype=torch.float64, **options):
    draw = Draw(7, dtype)
    shapes = {"q": (1, 2, queries, 16), "k": (1, 1, keys, 16), "v": (1, 1, keys, 16)}
    options = {"window": 3, "radius": 1, "causal": True} | options
    return WindowOperands(**{name: draw.normal(*shape) for name, shape in shapes.items()}, scale=0.3, **options)


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize(
    ("options", "means"),
    [
        ({"window": 2, "causal": True}, [1.0, 1.5, 3.0, 6.0]),
        ({"radius": 1, "causal": False}, [1.5, 7 / 3, 14 / 3, 6.0]),
    ],
)
def test_uniform_weights_average_the_band(core, options, means):
    operands = heads(4, 4, **options)
    values = torch.tensor([1.0, 2.0, 4.0, 8.0]).double()[:, None].expand_as(operands.v)
    operands = operands.with_tensors({"q": torch.zeros_like(operands.q), "v": values})
    torch.testing.assert_close(core(operands)[0, 1, :, 0], torch.tensor(means).double())


@pytest.mark.parametrize("core", CORES)
def test_a_token_acts_on_exactly_its_window(core):
    operands = heads(12, 12)
    values = operands.v.clone()
    values[:, :, 4] += 1
    changed = (core(operands) != core(operands.with_tensors({"v": values}))).flatten(0, 1).any(0).any(-1)
    assert changed.nonzero().flatten().tolist() == [4, 5, 6]


@pytest.mark.parametrize("core", CORES)
def test_queries_before_the_first_key_are_zero_with_zero_gradients(core):
    operands = heads(9, 4).map(lambda tensor: tensor.requires_grad_())
    out = core(operands)
    out.sum().backward()
    assert not out[:, :, :5].any()
    assert not operands.q.grad[:, :, :5].any()
    assert all(tensor.grad.isfinite().all() for tensor in operands.tensors().values())


def test_the_ring_keeps_its_size_and_its_window_beyond_any_capacity():
    module = Draw(1).module(SlidingWindow(32, 4, window=5, kv_heads=2))
    inputs = Sequence(x=Draw(2).normal(2, 23, 32), causal=True)
    state = module.init_state(2, 4)
    outs, sizes = [], {state.nbytes}
    for part in inputs.x.split([3, 1, 1, 1, 9, 2, 6], 1):
        out, state = module.step(Sequence(x=part, causal=True), state)
        outs.append(out.x)
        sizes.add(state.nbytes)
    torch.testing.assert_close(torch.cat(outs, 1), module(inputs).x)
    assert sizes == {2 * 2 * 2 * 5 * 8 * 8}


class TestFlex:
    pytestmark = COMPILING

    @pytest.mark.parametrize(("queries", "keys"), [(300, 300), (20, 280)])
    @pytest.mark.parametrize("causal", [True, False])
    def test_agrees_with_the_definition(self, queries, keys, causal):
        operands = heads(queries, keys, dtype=torch.float32, window=40, radius=140, causal=causal)
        torch.testing.assert_close(flex(operands), SlidingWindow.mix(operands), rtol=1e-5, atol=1e-5)


def test_flex_says_what_it_cannot_carry(monkeypatch):
    operands = heads(4, 4, dtype=torch.float32)
    with pytest.raises(Unsupported, match="no backward pass on the CPU"):
        flex(operands.map(lambda tensor: tensor.requires_grad_()))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(Unsupported, match="no no-such-compiler"):
        flex(operands.map(torch.Tensor.detach))


@pytest.mark.parametrize("options", [{"window": 0}, {"radius": -1}, {"kv_heads": 3}, {"heads": 5}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="must"):
        SlidingWindow(32, **{"heads": 4} | options)
