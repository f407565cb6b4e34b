import pytest
import torch

from attnbench.contract import Draw
from attnbench_impls.kernels.fused import fused_attention


@pytest.mark.parametrize("widths", [(4, 6), (6, 4), (4, 4)])
@pytest.mark.parametrize(("queries", "keys"), [(1, 5), (2, 5), (5, 5), (7, 5)])
@pytest.mark.parametrize("causal", [True, False])
def test_lengths_and_widths_may_differ(queries, keys, causal, widths):
    """Row by row: a causal query sees as many keys as there are up to its place, counted from the end."""
    draw, (width, v_width) = Draw(1), widths
    q, k, v = draw.normal(2, 3, queries, width), draw.normal(2, 3, keys, width), draw.normal(2, 3, keys, v_width)
    rows = []
    for i in range(queries):
        seen = max(0, keys - queries + i + 1) if causal else keys
        rows.append((0.3 * q[:, :, i : i + 1] @ k[:, :, :seen].mT).softmax(-1) @ v[:, :, :seen])
    torch.testing.assert_close(fused_attention(q, k, v, scale=0.3, causal=causal), torch.cat(rows, 2))
