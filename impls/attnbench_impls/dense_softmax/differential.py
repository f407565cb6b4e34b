"""Differential attention."""

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Claim,
    DecodableAttention,
    Dtype,
    Extra,
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
from attnbench_impls.kernels.fused import fused_attention
from attnbench_impls.kernels.rotary import Rotary, positions_of
from attnbench_impls.kernels.softmax import KVCache, distance, masked_softmax, merge_heads, split_heads


@dataclass(frozen=True, kw_only=True)
class DifferentialOperands(Operands):
    """Pairs of heads: the even ones make the first map, the odd ones the map that is taken off it.

    Attributes:
        q: (B, 2 H, N, D), rotated.
        k: (B, 2 G, S, D), rotated, where G divides H: pair h reads pair h // (H / G).
        v: (B, G, S, 2 D).
        weight: the factor lambda of the second maps, a scalar.
        scale: factor on q . k.
        causal: query i sees the keys up to S - N + i (bottom right).
    """

    PRECISE = frozenset({"weight"})

    q: Tensor
    k: Tensor
    v: Tensor
    weight: Tensor
    scale: float
    causal: bool = False


@variant(
    slug="differential",
    paper="differential",
    family="dense_softmax",
    layout=Layout.SEQUENCE,
    patterns={Pattern.CAUSAL_SELF, Pattern.NONCAUSAL_SELF, Pattern.DECODE},
    fidelity=Fidelity.KNOWN_WELL,
    properties={Property.CAUSAL_WEIGHTS, Property.BATCH_INDEPENDENT},
    accepts={Extra.POSITION_IDS},
    settings={"correctness": [{}, {"kv_heads": 2, "rope_layout": "half"}]},
    claims=[
        Claim(
            text="Reaches a Transformer's language-modelling quality with about 65 % of its parameters or tokens.",
            metric="parameters at equal loss, relative to multi_head",
            value=0.65,
        )
    ],
)
class Differential(DecodableAttention[Sequence, DifferentialOperands, Tensor, KVCache]):
    """The difference of two softmax maps, so that attention to what is irrelevant cancels as common noise does.

    x (B, N, D) -> q (B, 2 H, N, d), k (B, 2 G, N, d), both rotated, v (B, G, N, 2 d), with d = D / (2 H) ->
    (softmax(q_1 k_1) - lambda softmax(q_2 k_2)) v; RMSNorm of each head, times 1 - lambda_init, then W_o -> (B, N, D).
    What a query gives to its keys adds up to 1 - lambda. By default lambda_init grows with the depth of the layer:
    0.8 - 0.6 exp(-0.3 l), where l counts layers from 0.
    Source: Differential Transformer, 2024.

    Raises:
        UserError: a width that does not divide into pairs of even heads, or heads that the key heads do not divide.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        kv_heads: int | None = None,
        lambda_init: float | None = None,
        lambda_std: float = 0.1,
        subln_eps: float = 1e-5,
        scale: float | None = None,
        rope_theta: float = 10000.0,
        rope_layout: str = "interleaved",
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads or heads, dim // (2 * heads)
        if dim % (2 * heads) or heads % self.kv_heads:
            raise UserError(f"2 x {heads} heads must divide the width {dim}, and {self.kv_heads} key heads the heads")
        self.rotary = Rotary(self.head_dim, rope_theta, rope_layout)
        self.scale = self.head_dim**-0.5 if scale is None else scale
        self.lambda_init = 0.8 - 0.6 * math.exp(-0.3 * place.index) if lambda_init is None else lambda_init
        self.w_q = nn.Linear(dim, dim, bias=False)
        self.w_k = nn.Linear(dim, 2 * self.kv_heads * self.head_dim, bias=False)
        self.w_v = nn.Linear(dim, 2 * self.kv_heads * self.head_dim, bias=False)
        self.w_o = nn.Linear(dim, dim, bias=False)
        self.lambda_q = nn.Parameter(lambda_std * torch.randn(2, self.head_dim))
        self.lambda_k = nn.Parameter(lambda_std * torch.randn(2, self.head_dim))
        self.sub_norm = nn.RMSNorm(2 * self.head_dim, subln_eps)
        for linear in (self.w_q, self.w_k, self.w_v):
            nn.init.normal_(linear.weight, std=0.02)
        nn.init.normal_(self.w_o.weight, std=0.02 / (2 * place.depth) ** 0.5)

    def project(self, inputs: Sequence, seen: int = 0) -> DifferentialOperands:
        """Project to pairs of heads; the positions count on from `seen` where the extras name none."""
        positions = positions_of(inputs, seen)
        return DifferentialOperands(
            q=self.rotary(split_heads(self.w_q(inputs.x), 2 * self.heads), positions),
            k=self.rotary(split_heads(self.w_k(inputs.x), 2 * self.kv_heads), positions),
            v=split_heads(self.w_v(inputs.x), self.kv_heads),
            weight=self.weight(),
            scale=self.scale,
            causal=inputs.causal,
        )

    def weight(self) -> Tensor:
        """Return lambda, a scalar in at least float32: exp(q_1 . k_1) - exp(q_2 . k_2) + lambda_init."""
        wide = torch.promote_types(self.lambda_q.dtype, torch.float32)
        growth = (self.lambda_q.to(wide) * self.lambda_k.to(wide)).sum(-1).exp()
        return growth[0] - growth[1] + self.lambda_init

    @staticmethod
    def mix(operands: DifferentialOperands) -> Tensor:
        """Build both softmax maps of each head, subtract, and multiply with the values."""
        q, k, v = (x.to(operands.weight.dtype) for x in (operands.q, operands.k, operands.v))
        heads, queries, keys = q.shape[1] // 2, q.shape[2], k.shape[2]
        out = []
        for h in range(heads):
            g = h * v.shape[1] // heads
            rows = []
            for i in range(queries):
                seen = max(0, keys - queries + i + 1) if operands.causal else keys
                logits = (q[:, 2 * h + m, i : i + 1] @ k[:, 2 * g + m, :seen].mT for m in (0, 1))
                first, second = ((operands.scale * one).softmax(-1) for one in logits)
                rows.append((first - operands.weight * second) @ v[:, g, :seen])
            out.append(torch.cat(rows, 1))
        return torch.stack(out, 1).to(operands.v.dtype)

    def merge(self, mixed: Tensor, inputs: Sequence) -> Outputs:
        """Normalise each head, scale by 1 - lambda_init, and return to model width."""
        return Outputs.of(self.w_o(merge_heads(self.sub_norm(mixed) * (1 - self.lambda_init))))

    def init_state(self, batch: int, capacity: int) -> KVCache:
        """Make an empty cache of key pairs and values: the bytes of 2 G ordinary heads."""
        zeros, groups, d = self.w_k.weight.new_zeros, self.kv_heads, self.head_dim
        return KVCache(zeros(batch, 2 * groups, capacity, d), zeros(batch, groups, capacity, 2 * d))

    def extend(self, inputs: Sequence, state: KVCache) -> tuple[DifferentialOperands, KVCache]:
        """Append the new tokens' rotated keys and values, and attend causally to all of them."""
        new = self.project(inputs, state.length)
        state = state.append(new.k, new.v)
        return replace(new, k=state.keys, v=state.values, causal=True), state


@implementation(of=Differential, name="torch")
def matmul(operands: DifferentialOperands) -> Tensor:
    """All maps from one batched matmul, in at least float32; the difference of a pair meets its values once."""
    wide, share = operands.weight.dtype, operands.q.shape[1] // operands.k.shape[1]
    q, k = (x.to(wide).unflatten(1, (-1, 2)) for x in (operands.q, operands.k))
    steps = distance(q.shape[3], k.shape[3], q.device)
    allowed = steps >= 0 if operands.causal else torch.ones_like(steps, dtype=torch.bool)
    maps = masked_softmax(operands.scale * (q @ k.repeat_interleave(share, 1).mT), allowed)
    weights = maps[:, :, 0] - operands.weight * maps[:, :, 1]
    return (weights @ operands.v.to(wide).repeat_interleave(share, 1)).to(operands.v.dtype)


@implementation(of=Differential, name="sdpa", dtypes={Dtype.FLOAT64, Dtype.FLOAT32})
def sdpa(operands: DifferentialOperands) -> Tensor:
    """The difference of two fused attentions over the same values, as one call on twice the batch.

    Each of the two comes rounded to the dtype of the operands. Where lambda is close to 1 they nearly cancel, and in
    half precision little but the rounding would be left.
    """
    share = operands.q.shape[1] // operands.k.shape[1]
    q = torch.cat([operands.q[:, 0::2], operands.q[:, 1::2]])
    k = torch.cat([operands.k[:, 0::2], operands.k[:, 1::2]]).repeat_interleave(share, 1)
    v = operands.v.repeat(2, 1, 1, 1).repeat_interleave(share, 1)
    first, second = fused_attention(q, k, v, scale=operands.scale, causal=operands.causal).chunk(2)
    return first - operands.weight * second


Run = Trial[DifferentialOperands, Tensor]


def _pairs(trial: Run) -> DifferentialOperands:
    n = 2 * trial.size
    q, k, v = trial.normal(2, 8, n, 4), trial.normal(2, 4, n, 4), trial.normal(2, 2, n, 8)
    return DifferentialOperands(q=q, k=k, v=v, weight=trial.uniform(1)[0], scale=0.4, causal=True)


@reduction(of=Differential, says="lambda = 0 is multi_head of the first maps, normalised and scaled by 1 - lambda_init")
def no_second_map(trial: Run) -> tuple[Tensor, Tensor]:
    """What is left is an ordinary head with values twice as wide as its keys."""
    module = trial.attention(Differential(32, 4, lambda_init=0.3))
    inputs = Sequence(x=trial.normal(2, 2 * trial.size, 32), causal=True)
    operands = module.project(inputs)
    operands = replace(operands, weight=torch.zeros_like(operands.weight))
    first = F.scaled_dot_product_attention(operands.q[:, ::2], operands.k[:, ::2], operands.v, is_causal=True)
    normed = 0.7 * first / (first.square().mean(-1, keepdim=True) + 1e-5).sqrt() * module.sub_norm.weight
    return module.merge(trial.mix(operands), inputs).x, merge_heads(normed) @ module.w_o.weight.T


@reduction(of=Differential, says="equal maps leave (1 - lambda) times one of them, which the norm makes free of lambda")
def equal_maps(trial: Run) -> tuple[Tensor, Tensor]:
    """The second maps repeat the first; checked before the norm, and after a norm without eps."""
    operands = _pairs(trial)
    q, k = operands.q[:, ::2], operands.k[:, ::2]
    operands = replace(operands, q=q.repeat_interleave(2, 1), k=k.repeat_interleave(2, 1))
    group = torch.arange(4) // 2
    single = F.scaled_dot_product_attention(q, k[:, group], operands.v[:, group], is_causal=True, scale=0.4)
    got = trial.mix(operands)
    expected = torch.stack([(1 - operands.weight) * single, F.rms_norm(single, (8,), eps=0.0)])
    return torch.stack([got, F.rms_norm(got, (8,), eps=0.0)]), expected


@reduction(of=Differential, says="it is the difference of two attentions over the same values")
def linearity(trial: Run) -> tuple[Tensor, Tensor]:
    """SDPA(q_1, k_1, v) - lambda SDPA(q_2, k_2, v)."""
    operands = _pairs(trial)
    group = torch.arange(4) // 2
    first, second = (
        F.scaled_dot_product_attention(q, k[:, group], operands.v[:, group], is_causal=True, scale=0.4)
        for q, k in ((operands.q[:, m::2], operands.k[:, m::2]) for m in (0, 1))
    )
    return trial.mix(operands), first - operands.weight * second


@reduction(of=Differential, says="values that are all c give (1 - lambda) c before the norm")
def constant_values(trial: Run) -> tuple[Tensor, Tensor]:
    """Each row gives out 1 from its first map, and takes lambda back with its second."""
    operands = _pairs(trial)
    constant = trial.normal(2, 2, 1, 8).expand_as(operands.v)
    expected = (1 - operands.weight) * constant.repeat_interleave(2, 1)
    return trial.mix(replace(operands, v=constant)), expected
