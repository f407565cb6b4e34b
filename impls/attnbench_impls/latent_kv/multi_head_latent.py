"""Multi-head latent attention with decoupled rotary positions."""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Claim,
    DecodableAttention,
    Extra,
    Fidelity,
    Layout,
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
from attnbench.facts import Scalar
from attnbench_impls.kernels.fused import fused_attention
from attnbench_impls.kernels.latent import LatentOperands
from attnbench_impls.kernels.rotary import Rotary, positions_of
from attnbench_impls.kernels.softmax import KVCache, distance, masked_softmax, merge_heads, split_heads, widened

WIDTHS = ("q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")


def _widths(*values: int | None) -> dict[str, Scalar]:
    return dict(zip(WIDTHS, values, strict=True))


@variant(
    slug="multi_head_latent",
    paper="multi_head_latent",
    family="latent_kv",
    layout=Layout.SEQUENCE,
    patterns={Pattern.CAUSAL_SELF, Pattern.NONCAUSAL_SELF, Pattern.DECODE},
    fidelity=Fidelity.KNOWN_WELL,
    mechanisms=(),
    properties={Property.CAUSAL_WEIGHTS, Property.BATCH_INDEPENDENT},
    accepts={Extra.POSITION_IDS},
    settings={
        "correctness": [
            _widths(None, 16, 8, 4, 6),
            _widths(12, 10, 4, 6, 8) | {"rope_layout": "half", "latent_norm": False},
        ],
        "latency": [_widths(None, 128, 64, 32, 64)],
        "accuracy": [_widths(None, 64, 32, 16, 32)],
    },
    claims=[
        Claim(
            text="Caches 576 values a token and layer, with the quality of multi-head attention or better.",
            metric="cached values per token and layer",
            value=576,
            conditions="kv_lora_rank 512 and qk_rope_head_dim 64, against multi_head of equal width",
        )
    ],
)
class MultiHeadLatent(DecodableAttention[Sequence, LatentOperands, Tensor, KVCache]):
    """Softmax attention whose cache is one small latent a token, from which every head expands its keys and values.

    x (B, N, D) -> q (B, H, N, d_n + d_r), latent c (B, N, r_kv), one rotary key (B, N, d_r); the logits are
    (q_n . W_uk c + q_r . k_r) / sqrt(d_n + d_r), the values W_uv c; then W_o -> (B, N, D). The defaults are those of
    the full-size model and do not follow `dim` and `heads`; its proportions at any size are r_kv = 2 dim / heads,
    d_n = d_v = dim / heads, d_r = d_n / 2. `latent_norm` switches both RMSNorms of latents.
    Source: DeepSeek-V2, 2024.

    Raises:
        UserError: an odd rotary width, or an unknown rotary layout.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        q_lora_rank: int | None = 1536,
        kv_lora_rank: int = 512,
        qk_nope_head_dim: int = 128,
        qk_rope_head_dim: int = 64,
        v_head_dim: int = 128,
        rms_eps: float = 1e-6,
        rope_theta: float = 10000.0,
        rope_layout: str = "interleaved",
        latent_norm: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.v_head_dim = heads, v_head_dim
        self.q_widths, self.kv_widths = (qk_nope_head_dim, qk_rope_head_dim), (kv_lora_rank, qk_rope_head_dim)
        self.rotary = Rotary(qk_rope_head_dim, rope_theta, rope_layout)
        self.w_dq: nn.Module = nn.Identity() if q_lora_rank is None else nn.Linear(dim, q_lora_rank, bias=False)
        self.w_uq = nn.Linear(q_lora_rank or dim, heads * sum(self.q_widths), bias=False)
        self.w_dkv = nn.Linear(dim, sum(self.kv_widths), bias=False)
        self.w_ukv = nn.Linear(kv_lora_rank, heads * (qk_nope_head_dim + v_head_dim), bias=False)
        self.w_o = nn.Linear(heads * v_head_dim, dim, bias=False)
        self.norm_q = nn.RMSNorm(q_lora_rank, rms_eps) if latent_norm and q_lora_rank else nn.Identity()
        self.norm_kv = nn.RMSNorm(kv_lora_rank, rms_eps) if latent_norm else nn.Identity()
        for linear in (module for module in self.modules() if isinstance(module, nn.Linear)):
            nn.init.normal_(linear.weight, std=0.02)
        with torch.no_grad():
            self.w_o.weight.div_((2 * place.depth) ** 0.5)

    def project(self, inputs: Sequence, seen: int = 0) -> LatentOperands:
        """Compress to the latents; the positions count on from `seen` where the extras name none."""
        positions = positions_of(inputs, seen)
        q = split_heads(self.w_uq(self.norm_q(self.w_dq(inputs.x))), self.heads)
        q_nope, q_rope = q.split(self.q_widths, -1)
        latent, k_rope = self.w_dkv(inputs.x).split(self.kv_widths, -1)
        w_uk, w_uv = self.w_ukv.weight.unflatten(0, (self.heads, -1)).split([self.q_widths[0], self.v_head_dim], 1)
        return LatentOperands(
            q_nope=q_nope,
            q_rope=self.rotary(q_rope, positions),
            latent=self.norm_kv(latent),
            k_rope=self.rotary(k_rope[:, None], positions)[:, 0],
            w_uk=w_uk,
            w_uv=w_uv,
            causal=inputs.causal,
        )

    @staticmethod
    def mix(operands: LatentOperands) -> Tensor:
        """Expand keys and values head by head, and take each query's softmax over the keys that it sees."""
        o = widened(operands)
        queries, keys = o.q_nope.shape[2], o.latent.shape[1]
        scale = (o.q_nope.shape[3] + o.q_rope.shape[3]) ** -0.5
        heads = []
        for h in range(o.w_uk.shape[0]):
            k, v = o.latent @ o.w_uk[h].T, o.latent @ o.w_uv[h].T
            logits = scale * (o.q_nope[:, h] @ k.mT + o.q_rope[:, h] @ o.k_rope.mT)
            rows = []
            for i in range(queries):
                seen = max(0, keys - queries + i + 1) if o.causal else keys
                rows.append(logits[:, i : i + 1, :seen].softmax(-1) @ v[:, :seen])
            heads.append(torch.cat(rows, 1))
        return torch.stack(heads, 1).to(operands.latent.dtype)

    def merge(self, mixed: Tensor, inputs: Sequence) -> Outputs:
        """Concatenate the heads and return to model width."""
        return Outputs.of(self.w_o(merge_heads(mixed)))

    def init_state(self, batch: int, capacity: int) -> KVCache:
        """Make an empty cache of one row a token: normalised latents as its k, rotated keys as its v."""
        return KVCache.empty((batch, 1, capacity), self.kv_widths[0], self.kv_widths[1], like=self.w_dkv.weight)

    def extend(self, inputs: Sequence, state: KVCache) -> tuple[LatentOperands, KVCache]:
        """Append the new tokens' latents and rotary keys, and attend causally to all of them."""
        new = self.project(inputs, state.length)
        state = state.append(new.latent[:, None], new.k_rope[:, None])
        return replace(new, latent=state.keys[:, 0], k_rope=state.values[:, 0], causal=True), state


@implementation(of=MultiHeadLatent, name="naive", mechanism="mla_naive")
def naive(operands: LatentOperands) -> Tensor:
    """Expanded form: the keys and values of all heads, then torch's scaled_dot_product_attention."""
    heads, latent = operands.q_nope.shape[1], operands.latent[:, None]
    q = torch.cat([operands.q_nope, operands.q_rope], -1)
    k = torch.cat([latent @ operands.w_uk.mT, operands.k_rope[:, None].expand(-1, heads, -1, -1)], -1)
    return fused_attention(q, k, latent @ operands.w_uv.mT, scale=q.shape[3] ** -0.5, causal=operands.causal)


@implementation(of=MultiHeadLatent, name="absorbed", mechanism="mla_absorbed")
def absorbed(operands: LatentOperands) -> Tensor:
    """Absorbed form: queries move into the latent space, where all heads share one key and one value, the latent."""
    heads, queries, keys = *operands.q_nope.shape[1:3], operands.latent.shape[1]
    scale = (operands.q_nope.shape[3] + operands.q_rope.shape[3]) ** -0.5
    q = torch.cat([operands.q_nope @ operands.w_uk, operands.q_rope], -1).flatten(1, 2)
    logits = scale * (q @ torch.cat([operands.latent, operands.k_rope], -1).mT)
    steps = distance(queries, keys, q.device)
    allowed = steps >= 0 if operands.causal else torch.ones_like(steps, dtype=torch.bool)
    mixed: Tensor = (masked_softmax(logits, allowed.repeat(heads, 1)) @ operands.latent).unflatten(1, (heads, queries))
    return mixed @ operands.w_uv.mT


Run = Trial[LatentOperands, Tensor]


def _latent(trial: Run, heads: int = 3, nope: int = 4, rope: int = 2, rank: int = 5) -> LatentOperands:
    n = 2 * trial.size
    return LatentOperands(
        q_nope=trial.normal(2, heads, n, nope),
        q_rope=trial.normal(2, heads, n, rope),
        latent=trial.normal(2, n, rank),
        k_rope=trial.normal(2, n, rope),
        w_uk=trial.normal(heads, nope, rank),
        w_uv=trial.normal(heads, 3, rank),
        causal=True,
    )


@reduction(of=MultiHeadLatent, says="without positions, expansions that select blocks of the latent are grouped_query")
def block_selection(trial: Run) -> tuple[Tensor, Tensor]:
    """Two groups of two heads; the latent holds both groups' keys, then both groups' values."""
    group = torch.tensor([0, 0, 1, 1])
    select = torch.eye(16, dtype=trial.dtype).unflatten(0, (2, 2, 4))
    operands = replace(_latent(trial, heads=4, rope=0, rank=16), w_uk=select[0, group], w_uv=select[1, group])
    k, v = operands.latent.unflatten(-1, (2, 2, 4)).permute(2, 0, 3, 1, 4)
    grouped = F.scaled_dot_product_attention(operands.q_nope, k[:, group], v[:, group], is_causal=True)
    return trial.mix(operands), grouped


@reduction(of=MultiHeadLatent, says="without positions and norm it is multi_head with composed weights")
def composed_weights(trial: Run) -> tuple[Tensor, Tensor]:
    """W_k = W_uk W_dkv and W_v = W_uv W_dkv, head by head."""
    build: Callable[..., MultiHeadLatent] = MultiHeadLatent
    module = trial.attention(build(12, 3, latent_norm=False, **_widths(None, 5, 4, 0, 6)))
    x = trial.normal(2, trial.size, 12)
    w_uk, w_uv = module.w_ukv.weight.unflatten(0, (3, -1)).split([4, 6], 1)
    k, v = (x[:, None] @ (expand @ module.w_dkv.weight).mT for expand in (w_uk, w_uv))
    heads = F.scaled_dot_product_attention(split_heads(x @ module.w_uq.weight.T, 3), k, v)
    return module(Sequence(x=x)).x, merge_heads(heads) @ module.w_o.weight.T


@reduction(of=MultiHeadLatent, says="with rotary keys only, the heads share one key as in multi_query")
def rotary_only(trial: Run) -> tuple[Tensor, Tensor]:
    """Scores of multi_query, values of each head."""
    operands = _latent(trial, nope=0)
    v = operands.latent[:, None] @ operands.w_uv.mT
    k = operands.k_rope[:, None].expand(-1, 3, -1, -1)
    return trial.mix(operands), F.scaled_dot_product_attention(operands.q_rope, k, v, is_causal=True)


@reduction(of=MultiHeadLatent, says="the naive and the absorbed form are one function")
def both_forms(trial: Run) -> tuple[Tensor, Tensor]:
    """The products q W_uk c and W_uv c P may be taken from either end."""
    o = _latent(trial)
    latent = o.latent[:, None]
    future = torch.ones(2 * trial.size, 2 * trial.size, dtype=torch.bool).triu(1)
    first, second = (
        ((scores + o.q_rope @ o.k_rope[:, None].mT) * 6**-0.5).masked_fill(future, -torch.inf).softmax(-1)
        for scores in (o.q_nope @ (latent @ o.w_uk.mT).mT, o.q_nope @ o.w_uk @ latent.mT)
    )
    forms = torch.stack([first @ (latent @ o.w_uv.mT), (second @ latent) @ o.w_uv.mT])
    return trial.mix(o).expand_as(forms), forms


@reduction(of=MultiHeadLatent, says="one head that expands by the identity is multi_query with key = value = latent")
def identity_expansion(trial: Run) -> tuple[Tensor, Tensor]:
    """The latent is both key and value."""
    identity = torch.eye(4, dtype=trial.dtype)[None]
    operands = replace(_latent(trial, heads=1, rope=0, rank=4), w_uk=identity, w_uv=identity)
    shared = operands.latent[:, None]
    return trial.mix(operands), F.scaled_dot_product_attention(operands.q_nope, shared, shared, is_causal=True)
