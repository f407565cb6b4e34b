"""Sliding-window attention."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask

from attnbench.contract import (
    DecodableAttention,
    Dtype,
    Fidelity,
    Layout,
    Operands,
    Outputs,
    Pattern,
    Place,
    Property,
    Sequence,
    Trial,
    implementation,
    reduction,
    variant,
)
from attnbench.errors import UserError
from attnbench_impls.kernels.flex import compiled_flex
from attnbench_impls.kernels.ring import RingCache
from attnbench_impls.kernels.softmax import merge_heads, split_heads, widened


@dataclass(frozen=True, kw_only=True)
class WindowOperands(Operands):
    """Heads of windowed attention.

    Attributes:
        q: (B, H, N, D).
        k: (B, H_kv, S, D), where H_kv divides H: query head h reads key head h // (H / H_kv).
        v: (B, H_kv, S, D_v).
        scale: factor on q . k.
        window: keys that a causal query sees, its own included.
        radius: keys on either side that a query sees where `causal` is false.
        causal: which of the two forms; query i stands at key S - N + i (bottom right).
    """

    q: Tensor
    k: Tensor
    v: Tensor
    scale: float
    window: int
    radius: int
    causal: bool = False


@variant(
    slug="sliding_window",
    paper="sliding_window",
    family="static_sparse",
    layout=Layout.SEQUENCE,
    patterns={Pattern.NONCAUSAL_SELF, Pattern.CAUSAL_SELF, Pattern.DECODE},
    fidelity=Fidelity.KNOWN_WELL,
    properties={Property.CAUSAL_WEIGHTS, Property.BATCH_INDEPENDENT, Property.ROWS_SUM_TO_ONE},
    settings={
        "correctness": [{"window": 5}, {"window": 1, "kv_heads": 2}, {"window": 16, "radius": 3, "kv_heads": 1}],
        "latency": [{"window": 128}],
        "accuracy": [{"window": 16}],
    },
)
class SlidingWindow(DecodableAttention[Sequence, WindowOperands, Tensor, RingCache]):
    """Softmax attention within a band: each query sees only the keys close to it.

    x (B, N, D) -> q (B, H, N, d), k and v (B, H_kv, N, d) -> masked softmax -> W_o -> (B, N, D). Causal inputs see the
    last `window` tokens, the current one included; the others see `radius` tokens on either side, and fewer at the
    borders. The inputs, not a switch of the module, say which of the two it is.
    Source: baseline; Longformer, 2020, and Mistral 7B, 2023, use it.

    Raises:
        UserError: a window below 1, a negative radius, heads that do not divide the width, or key heads the heads.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        window: int = 512,
        radius: int | None = None,
        kv_heads: int | None = None,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads or heads, dim // heads
        self.window, self.radius = window, window // 2 if radius is None else radius
        if window < 1 or self.radius < 0:
            raise UserError(f"window must be at least 1 and radius at least 0, got {window} and {self.radius}")
        if dim % heads or heads % self.kv_heads:
            raise UserError(f"heads must divide the width and kv_heads the heads, got {heads}, {dim}, {self.kv_heads}")
        self.w_q = nn.Linear(dim, heads * self.head_dim, bias=False)
        self.w_k = nn.Linear(dim, self.kv_heads * self.head_dim, bias=False)
        self.w_v = nn.Linear(dim, self.kv_heads * self.head_dim, bias=False)
        self.w_o = nn.Linear(heads * self.head_dim, dim, bias=False)
        for linear in (self.w_q, self.w_k, self.w_v):
            nn.init.normal_(linear.weight, std=0.02)
        nn.init.normal_(self.w_o.weight, std=0.02 / (2 * place.depth) ** 0.5)

    def project(self, inputs: Sequence) -> WindowOperands:
        """Project to heads."""
        return WindowOperands(
            q=split_heads(self.w_q(inputs.x), self.heads),
            k=split_heads(self.w_k(inputs.x), self.kv_heads),
            v=split_heads(self.w_v(inputs.x), self.kv_heads),
            scale=self.head_dim**-0.5,
            window=self.window,
            radius=self.radius,
            causal=inputs.causal,
        )

    @staticmethod
    def mix(operands: WindowOperands) -> Tensor:
        """List the keys that each query sees, and take the softmax over them."""
        o = widened(operands)
        queries, keys = o.q.shape[2], o.k.shape[2]
        owner = torch.arange(o.q.shape[1]) // (o.q.shape[1] // o.k.shape[1])
        k, v = o.k[:, owner], o.v[:, owner]
        rows = []
        for row in range(queries):
            i = row + keys - queries
            if o.causal:
                seen = [j for j in range(keys) if 0 <= i - j < o.window]
            else:
                seen = [j for j in range(keys) if abs(i - j) <= o.radius]
            logits = o.scale * (o.q[:, :, row : row + 1] @ k[:, :, seen].mT)
            rows.append(logits.softmax(-1) @ v[:, :, seen])
        return torch.cat(rows, 2).to(operands.v.dtype)

    def merge(self, mixed: Tensor, inputs: Sequence) -> Outputs:
        """Concatenate the heads and return to model width."""
        return Outputs.of(self.w_o(merge_heads(mixed)))

    def init_state(self, batch: int, capacity: int) -> RingCache:
        """Make an empty ring of `window` tokens, whatever the capacity."""
        empty = self.w_k.weight.new_zeros(batch, self.kv_heads, self.window, self.head_dim)
        return RingCache(empty, empty.clone())

    def extend(self, inputs: Sequence, state: RingCache) -> tuple[WindowOperands, RingCache]:
        """Write the new tokens into the ring, and attend causally to those still in the window."""
        new = self.project(inputs)
        keys, values, state = state.append(new.k, new.v)
        return replace(new, k=keys, v=values, causal=True), state


@implementation(of=SlidingWindow, name="torch")
def banded(operands: WindowOperands) -> Tensor:
    """Blocks of queries against the stretch of keys that their windows cover: O(N W), fused by torch's SDPA."""
    queries, keys, share = operands.q.shape[2], operands.k.shape[2], operands.q.shape[1] // operands.k.shape[1]
    behind, ahead = reach(operands)
    block = min(max(32, (behind + ahead) // 4), 128, queries)
    count = -(-queries // block)
    stretch = block + behind + ahead
    start = keys - queries - behind
    margins = (0, 0, -start, start + count * block + behind + ahead - keys)
    k, v = (F.pad(tensor, margins).unfold(2, stretch, block).mT for tensor in (operands.k, operands.v))
    k, v = (tensor[:, :, None].expand(-1, -1, share, -1, -1, -1).flatten(0, 2) for tensor in (k, v))
    q = F.pad(operands.q, (0, 0, 0, count * block - queries)).flatten(0, 1).unflatten(1, (count, block))
    row = torch.arange(block, device=q.device)[:, None]
    column = torch.arange(stretch, device=q.device)
    key = torch.arange(count, device=q.device)[:, None, None] * block + start + column
    band = (column >= row) & (column <= row + behind + ahead) & (key >= 0) & (key < keys)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=band[None], scale=operands.scale)
    out = torch.where(band.any(-1, keepdim=True), out, 0.0)
    return out.flatten(1, 2)[:, :queries].reshape(*operands.q.shape[:3], -1)


@implementation(of=SlidingWindow, name="flex", dtypes={Dtype.FLOAT32, Dtype.FLOAT16, Dtype.BFLOAT16})
def flex(operands: WindowOperands) -> Tensor:
    """PyTorch's flex_attention, compiled, visiting only the tiles of 128 x 128 that the band touches."""
    queries, keys, device = operands.q.shape[2], operands.k.shape[2], operands.q.device
    offset, behind, ahead = (torch.tensor(n, device=device) for n in (keys - queries, *reach(operands)))

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:  # noqa: ARG001 - flex's signature
        steps = query + offset - key
        return (steps <= behind) & (steps >= -ahead)

    top = torch.arange(0, queries, 128, device=device) + offset
    first = (top - behind).clamp(min=0) // 128
    last = (top + 127 + ahead).clamp(max=keys - 1) // 128
    tiles = torch.arange(-(-keys // 128), device=device)
    listed = (first[:, None] + tiles) % len(tiles)
    mask = BlockMask.from_kv_blocks(
        (last - first + 1).clamp(min=0).int()[None, None],
        listed.int()[None, None],
        mask_mod=visible,
        seq_lengths=(queries, keys),
    )
    return compiled_flex(operands.q, operands.k, operands.v, mask, operands.scale)


def reach(operands: WindowOperands) -> tuple[int, int]:
    """Return how many keys before and behind its own place a query sees, no more than there are."""
    behind, ahead = (operands.window - 1, 0) if operands.causal else (operands.radius, operands.radius)
    most = max(operands.q.shape[2], operands.k.shape[2]) - 1
    return min(behind, most), min(ahead, most)


Run = Trial[WindowOperands, Tensor]


def _heads(trial: Run, window: int = 1, radius: int = 0, causal: bool = True) -> WindowOperands:
    q, k, v = (trial.normal(2, 3, 2 * trial.size, 8) for _ in range(3))
    return WindowOperands(q=q, k=k, v=v, scale=8**-0.5, window=window, radius=radius, causal=causal)


@reduction(of=SlidingWindow, says="W >= N is dense causal attention; r >= N - 1 is dense attention")
def whole_sequence(trial: Run) -> tuple[Tensor, Tensor]:
    """A band as wide as the sequence hides nothing."""
    n = 2 * trial.size
    past, both = _heads(trial, window=n), _heads(trial, radius=n - 1, causal=False)
    dense = [F.scaled_dot_product_attention(one.q, one.k, one.v, is_causal=one.causal) for one in (past, both)]
    return torch.stack([trial.mix(past), trial.mix(both)]), torch.stack(dense)


@reduction(of=SlidingWindow, says="W = 1 gives v, and so does r = 0")
def itself_only(trial: Run) -> tuple[Tensor, Tensor]:
    """A token that sees only itself returns its value."""
    past, both = _heads(trial, window=1), _heads(trial, radius=0, causal=False)
    return torch.stack([trial.mix(past), trial.mix(both)]), torch.stack([past.v, both.v])


@reduction(of=SlidingWindow, says="streaming_llm with sink = 0 and recent = W is this mechanism")
def no_sink(trial: Run) -> tuple[Tensor, Tensor]:
    """A cache that drops its oldest token beyond W, read token by token."""
    operands = _heads(trial, window=1 + trial.size // 2)
    cache: list[int] = []
    rows = []
    for token in range(2 * trial.size):
        cache = [*cache, token][-operands.window :]
        logits = torch.einsum("bhd,bhjd->bhj", operands.q[:, :, token], operands.k[:, :, cache])
        rows.append(torch.einsum("bhj,bhjd->bhd", (operands.scale * logits).softmax(-1), operands.v[:, :, cache]))
    return trial.mix(operands), torch.stack(rows, 2)


@reduction(of=SlidingWindow, says="causal 1-D generalized_neighborhood with stride and dilation 1 is this mechanism")
def neighborhood(trial: Run) -> tuple[Tensor, Tensor]:
    """The leader of a group of one is the query, and its window starts W - 1 before it."""
    operands = _heads(trial, window=1 + trial.size)
    mask = torch.zeros(2 * trial.size, 2 * trial.size, dtype=torch.bool)
    for leader, row in enumerate(mask):
        row[max(leader - operands.window + 1, 0) : leader + 1] = True
    dense = F.scaled_dot_product_attention(operands.q, operands.k, operands.v, attn_mask=mask)
    return trial.mix(operands), dense
