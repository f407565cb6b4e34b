import pytest
import torch

from attnbench.contract import Draw, Extras, Sequence
from attnbench.errors import UserError
from attnbench_impls.kernels.rotary import Rotary, positions_of


def test_interleaved_pairs_turn_as_complex_numbers():
    draw = Draw(1)
    x, positions = draw.normal(2, 3, 5, 6), torch.tensor([0, 1, 2, 7, 400])
    angles = positions[:, None] * 100.0 ** (-torch.arange(3).double() / 3)
    turned = torch.view_as_complex(x.unflatten(-1, (3, 2))) * torch.polar(torch.ones_like(angles), angles)
    expected = torch.view_as_real(turned).flatten(-2)
    torch.testing.assert_close(Rotary(6, base=100.0)(x, positions), expected, rtol=1e-12, atol=1e-12)


def test_half_layout_is_the_interleaved_one_with_channels_permuted():
    x, positions = Draw(2).normal(1, 2, 4, 8), torch.arange(4)
    order = torch.tensor([0, 4, 1, 5, 2, 6, 3, 7])
    half = Rotary(8, layout="half")(x, positions)
    torch.testing.assert_close(half[..., order], Rotary(8)(x[..., order], positions))


@pytest.mark.parametrize("layout", ["interleaved", "half"])
def test_inner_products_depend_on_the_distance_only(layout):
    draw, rotary = Draw(3), Rotary(8, layout=layout)
    q, k, here = draw.normal(1, 1, 4, 8), draw.normal(1, 1, 4, 8), torch.arange(4)
    near = rotary(q, here) @ rotary(k, here).mT
    far = rotary(q, here + 1000) @ rotary(k, here + 1000).mT
    torch.testing.assert_close(near, far, rtol=1e-10, atol=1e-10)
    assert not torch.allclose(near, rotary(q, here) @ rotary(k, 2 * here).mT)


def test_long_positions_survive_a_narrow_dtype():
    x = torch.ones(1, 1, 2, 2, dtype=torch.bfloat16)
    at = Rotary(2)(x, torch.tensor([1001, 1002]))
    expected = Rotary(2)(x.double(), torch.tensor([1001, 1002]))
    assert at.dtype == torch.bfloat16
    torch.testing.assert_close(at.double(), expected, rtol=1e-2, atol=1e-2)


def test_positions_of_each_sequence_may_differ():
    x = Draw(4).normal(2, 3, 5, 4)
    ids = torch.stack([torch.arange(5), torch.arange(5) + 9])
    rotary = Rotary(4)
    each = torch.cat([rotary(x[b : b + 1], ids[b]) for b in range(2)])
    torch.testing.assert_close(rotary(x, ids), each)


def test_positions_count_on_from_the_tokens_seen_unless_given():
    inputs = Sequence(x=torch.zeros(1, 3, 2))
    given = Sequence(x=torch.zeros(1, 3, 2), extras=Extras(position_ids=torch.tensor([4, 4, 9])))
    assert positions_of(inputs, 5).tolist() == [5, 6, 7]
    assert positions_of(given, 5).tolist() == [4, 4, 9]


def test_bad_heads_and_layouts_are_named():
    with pytest.raises(UserError, match="even width, got 5"):
        Rotary(5)
    with pytest.raises(UserError, match="did you mean interleaved"):
        Rotary(4, layout="interleave")
