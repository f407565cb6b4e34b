"""Linear attention inside windows of unequal size."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from attnbench.contract import (
    Attention,
    Claim,
    Fidelity,
    Layout,
    Operands,
    Outputs,
    Pattern,
    Place,
    Ragged,
    Trial,
    implementation,
    reduction,
    variant,
)
from attnbench.errors import UserError

TILE = 32


@dataclass(frozen=True, kw_only=True)
class WindowOperands(Operands):
    """Heads of every row, one window after the other.

    Attributes:
        q: (M, H, D), before the feature map.
        k: (M, H, D), before the feature map.
        v: (M, H, D).
        offsets: (W + 1,) integers, window w holds the rows offsets[w] to offsets[w + 1]; it may be empty.
        eps: added to the normaliser.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    offsets: Tensor
    eps: float


@variant(
    slug="scattered_linear_attention",
    paper="scattered_linear_attention",
    family="linear",
    layout=Layout.RAGGED,
    patterns={Pattern.NONCAUSAL_SELF},
    fidelity=Fidelity.CODE_VERIFIED,
    settings={"correctness": [{}, {"eps": 0.1}]},
    claims=[
        Claim(
            text="On the ragged windows of a driving scene the operator stays below a millisecond.",
            metric="forward_s",
            value=0.001,
            conditions="2000 windows of 40 voxels on average, dim 128, 4 heads, on a moderate GPU",
        )
    ],
)
class ScatteredLinearAttention(Attention[Ragged, WindowOperands, Tensor]):
    """Scattered linear attention: every window of voxels sums up its relu(k) v^T, and its queries read that sum.

    x (M, D) -> q, k, v (M, H, d) -> relu(q)^T KV_w / (relu(q) . sum_w relu(k) + eps) -> W_o -> (M, D). Without a
    scale, without positions, and without padding: a window may hold any number of rows, none included. Rows whose
    queries, or whose window's keys, are all negative give 0.

    The attention alone: the inputs come sorted by window already, and the block around it (batch norms, sparse
    convolutions across windows, feed-forward) is left to models. Source: ScatterFormer, 2023.

    Raises:
        UserError: a width that does not divide into heads.
    """

    def __init__(self, dim: int, heads: int, *, place: Place = Place(), eps: float = 1e-6) -> None:
        super().__init__()
        if dim % heads:
            raise UserError(f"{heads} heads do not divide the width {dim}")
        self.heads = heads
        self.eps = eps
        self.w_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.w_o = nn.Linear(dim, dim)
        nn.init.normal_(self.w_qkv.weight, std=0.02)
        nn.init.normal_(self.w_o.weight, std=0.02 / (2 * place.depth) ** 0.5)
        nn.init.zeros_(self.w_o.bias)

    def project(self, inputs: Ragged) -> WindowOperands:
        """Project to heads, contiguous inside each of q, k and v."""
        q, k, v = self.w_qkv(inputs.x).unflatten(-1, (3, self.heads, -1)).unbind(1)
        return WindowOperands(q=q, k=k, v=v, offsets=inputs.offsets, eps=self.eps)

    @staticmethod
    def mix(operands: WindowOperands) -> Tensor:
        """Window by window and head by head: the full matrix of relu(q) . relu(k), its rows normalised, times v."""
        wide = torch.promote_types(operands.q.dtype, torch.float32)
        q, k, v = operands.q.relu().to(wide), operands.k.relu().to(wide), operands.v.to(wide)
        edges = operands.offsets.tolist()
        rows = [v[:0]]
        for start, end in pairwise(edges):
            heads = []
            for h in range(q.shape[1]):
                weights = q[start:end, h] @ k[start:end, h].T
                weights = weights / (weights.sum(1, keepdim=True) + operands.eps)
                heads.append(weights @ v[start:end, h])
            rows.append(torch.stack(heads, 1))
        return torch.cat(rows).to(operands.v.dtype)

    def merge(self, mixed: Tensor, inputs: Ragged) -> Outputs:
        """Concatenate the heads and return to model width."""
        return Outputs.of(self.w_o(mixed.flatten(1)))


@implementation(of=ScatteredLinearAttention, name="torch")
def tiles(operands: WindowOperands) -> Tensor:
    """Windows cut into tiles of 32 rows: batched matmuls inside the tiles, their sums added up by window.

    Sums are in float32 at least. A window wastes less than one tile, whatever the size of the others.
    """
    starts, counts = operands.offsets[:-1], operands.offsets.diff()
    pieces = (counts + TILE - 1) // TILE
    window = torch.arange(len(counts), device=counts.device).repeat_interleave(pieces)
    piece = torch.arange(len(window), device=counts.device) - (pieces.cumsum(0) - pieces)[window]
    row = piece[:, None] * TILE + torch.arange(TILE, device=counts.device)
    real = row < counts[window, None]
    index = torch.where(real, row + starts[window, None], 0)
    wide = torch.promote_types(operands.q.dtype, torch.float32)  # sums in half precision overflow in large windows
    q, k, v = (tensor.to(wide)[index].transpose(1, 2) for tensor in (operands.q.relu(), operands.k.relu(), operands.v))
    k = k * real[:, None, :, None]
    v = torch.cat([v, torch.ones_like(v[..., :1])], -1)  # the column of ones collects the normaliser
    parts = k.mT @ v
    memory = parts.new_zeros(len(counts), *parts.shape[1:]).index_add(0, window, parts)
    read = q @ memory[window]
    out = read[..., :-1] / (read[..., -1:] + operands.eps)
    return out.transpose(1, 2)[real].to(operands.v.dtype)


Run = Trial[WindowOperands, Tensor]


def _windows(trial: Run, counts: list[int]) -> WindowOperands:
    offsets = torch.tensor([0, *counts]).cumsum(0)
    q, k, v = (trial.normal(sum(counts), 3, 8) for _ in range(3))
    return WindowOperands(q=q, k=k, v=v, offsets=offsets, eps=0.01)


@reduction(of=ScatteredLinearAttention, says="one window: normalised linear attention over all rows")
def one_window(trial: Run) -> tuple[Tensor, Tensor]:
    """Every query reads the same sum."""
    operands = _windows(trial, [5 * trial.size])
    q, k = operands.q.relu(), operands.k.relu()
    memory = torch.einsum("mhd,mhe->hde", k, operands.v)
    norm = torch.einsum("mhd,hd->mh", q, k.sum(0)) + operands.eps
    return trial.mix(operands), torch.einsum("mhd,hde->mhe", q, memory) / norm[..., None]


@reduction(of=ScatteredLinearAttention, says="one row a window: its value, times q.k / (q.k + eps)")
def one_row(trial: Run) -> tuple[Tensor, Tensor]:
    """A row alone keeps its value up to eps, or gives 0 where its query and key do not meet."""
    operands = _windows(trial, [1] * trial.size)
    met = (operands.q.relu() * operands.k.relu()).sum(-1, keepdim=True)
    return trial.mix(operands), operands.v * met / (met + operands.eps)


@reduction(of=ScatteredLinearAttention, says="windows of equal size: batched dense linear attention")
def equal_counts(trial: Run) -> tuple[Tensor, Tensor]:
    """Without raggedness the windows are a batch axis."""
    n = 2 * trial.size
    operands = _windows(trial, [n] * 4)
    q, k, v = (t.unflatten(0, (4, n)).transpose(1, 2) for t in (operands.q.relu(), operands.k.relu(), operands.v))
    expected = q @ (k.mT @ v) / (q @ k.sum(2)[..., None] + operands.eps)
    return trial.mix(operands), expected.transpose(1, 2).flatten(0, 1)
