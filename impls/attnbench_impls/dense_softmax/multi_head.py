"""Multi-head scaled dot-product attention."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
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
    Unsupported,
    implementation,
    reduction,
    variant,
)
from attnbench.errors import UserError
from attnbench_impls.kernels.softmax import (
    KVCache,
    SoftmaxOperands,
    distance,
    kept_weights,
    masked_softmax,
    merge_heads,
    split_heads,
    widened,
)


@variant(
    slug="multi_head",
    paper="multi_head",
    family="dense_softmax",
    layout=Layout.SEQUENCE,
    patterns=set(Pattern),
    fidelity=Fidelity.KNOWN_WELL,
    properties={Property.CAUSAL_WEIGHTS, Property.BATCH_INDEPENDENT, Property.ROWS_SUM_TO_ONE},
    accepts={Extra.KEY_PADDING, Extra.GENERATOR},
    settings={"correctness": [{}, {"bias": True, "value_head_dim": 24}]},
)
class MultiHead(DecodableAttention[Sequence, SoftmaxOperands, Tensor, KVCache]):
    """Exact softmax attention: every query reads every visible key, weighted by the softmax of scaled q . k.

    x (B, N, D) -> q (B, H, N, d), k (B, H, S, d), v (B, H, S, d_v) -> softmax(scale q k^T) v -> W_o -> (B, N, D).
    Source: Attention Is All You Need, 2017.

    Raises:
        UserError: a width that does not divide into heads, where no head width is given.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        context_dim: int | None = None,
        head_dim: int | None = None,
        value_head_dim: int | None = None,
        scale: float | None = None,
        attn_dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if head_dim is None and dim % heads:
            raise UserError(f"{heads} heads do not divide the width {dim}: give head_dim")
        self.heads = heads
        self.head_dim = head_dim or dim // heads
        self.value_head_dim = value_head_dim or self.head_dim
        self.scale = self.head_dim**-0.5 if scale is None else scale
        self.attn_dropout = attn_dropout
        source = context_dim or dim
        self.w_q = nn.Linear(dim, heads * self.head_dim, bias=bias)
        self.w_k = nn.Linear(source, heads * self.head_dim, bias=bias)
        self.w_v = nn.Linear(source, heads * self.value_head_dim, bias=bias)
        self.w_o = nn.Linear(heads * self.value_head_dim, dim, bias=bias)
        for linear in (self.w_q, self.w_k, self.w_v, self.w_o):
            nn.init.normal_(linear.weight, std=0.02)
            if bias:
                nn.init.zeros_(linear.bias)
        with torch.no_grad():
            self.w_o.weight.div_((2 * place.depth) ** 0.5)

    def project(self, inputs: Sequence) -> SoftmaxOperands:
        """Project to heads; keys and values come from the context where there is one."""
        source = inputs.x if inputs.context is None else inputs.context
        q = split_heads(self.w_q(inputs.x), self.heads)
        k, v = split_heads(self.w_k(source), self.heads), split_heads(self.w_v(source), self.heads)
        kept = None
        if self.training and self.attn_dropout > 0:
            kept = kept_weights((*q.shape[:3], k.shape[2]), self.attn_dropout, q, inputs.extras.generator)
        return SoftmaxOperands(
            q=q,
            k=k,
            v=v,
            scale=self.scale,
            causal=inputs.causal,
            key_padding=inputs.extras.key_padding,
            kept=kept,
        )

    @staticmethod
    def mix(operands: SoftmaxOperands) -> Tensor:
        """Take each query's visible keys: exp(logit - max), normalised, weighted sum of v, all in at least float32."""
        exact = widened(operands)
        q, k, v = exact.q, exact.k, exact.v
        share = q.shape[1] // k.shape[1]
        rows = []
        for b, h, i in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:3])).tolist():
            last = k.shape[2] - q.shape[2] + i if operands.causal else k.shape[2] - 1
            seen = [j for j in range(last + 1) if operands.key_padding is None or bool(operands.key_padding[b, j])]
            if not seen:
                rows.append(torch.zeros_like(v[b, 0, 0]) + 0 * q[b, h, i].sum())
                continue
            logits = operands.scale * (k[b, h // share, seen] @ q[b, h, i])
            weights = (logits - logits.max()).exp()
            weights = weights / weights.sum()
            if operands.kept is not None:
                weights = weights * operands.kept[b, h, i, seen]
            rows.append(weights @ v[b, h // share, seen])
        return torch.stack(rows).reshape(*q.shape[:3], v.shape[-1]).to(operands.v.dtype)

    def merge(self, mixed: Tensor, inputs: Sequence) -> Outputs:
        """Concatenate the heads and return to model width."""
        return Outputs.of(self.w_o(merge_heads(mixed)))

    def init_state(self, batch: int, capacity: int) -> KVCache:
        """Make an empty cache of keys and values."""
        return KVCache.empty((batch, self.heads, capacity), self.head_dim, self.value_head_dim, self.w_q.weight)

    def extend(self, inputs: Sequence, state: KVCache) -> tuple[SoftmaxOperands, KVCache]:
        """Append the new tokens' keys and values, and attend causally to all of them, without dropout.

        Key padding, where there is any, covers all tokens seen so far: (B, S).
        """
        new = self.project(inputs)
        state = state.append(new.k, new.v)
        return replace(new, k=state.keys, v=state.values, causal=True, kept=None), state


@implementation(of=MultiHead, name="sdpa")
def sdpa(operands: SoftmaxOperands) -> Tensor:
    """PyTorch's scaled_dot_product_attention, with the fused kernel that torch picks on each device."""
    if operands.kept is not None:
        raise Unsupported("scaled_dot_product_attention draws its own dropout")
    aligned = operands.q.shape[2] == operands.k.shape[2]
    only_causal = operands.causal and aligned and operands.key_padding is None
    mask = None if only_causal or (not operands.causal and operands.key_padding is None) else visible(operands)
    out = F.scaled_dot_product_attention(
        operands.q,
        operands.k,
        operands.v,
        attn_mask=mask,
        is_causal=only_causal,
        scale=operands.scale,
        enable_gqa=operands.q.shape[1] != operands.k.shape[1],
    )
    return out if mask is None else torch.where(mask.any(-1, keepdim=True), out, 0.0)


@implementation(of=MultiHead, name="torch")
def matmul(operands: SoftmaxOperands) -> Tensor:
    """Two batched matmuls around a masked softmax in at least float32."""
    share = operands.q.shape[1] // operands.k.shape[1]
    k, v = (tensor.repeat_interleave(share, 1) for tensor in (operands.k, operands.v))
    weights = masked_softmax(operands.scale * (operands.q @ k.mT), visible(operands))
    if operands.kept is not None:
        weights = weights * operands.kept
    return weights @ v


def visible(operands: SoftmaxOperands) -> Tensor:
    """Return the boolean mask that broadcasts to (B, H, N, S): causal and key padding combined."""
    q, k = operands.q, operands.k
    steps = distance(q.shape[2], k.shape[2], q.device)
    allowed = (steps >= 0 if operands.causal else torch.ones_like(steps, dtype=torch.bool))[None, None]
    return allowed if operands.key_padding is None else allowed & operands.key_padding[:, None, None, :]


Run = Trial[SoftmaxOperands, Tensor]


def _heads(trial: Run, causal: bool = False, **changed: Tensor) -> SoftmaxOperands:
    n = trial.size
    drawn = {name: trial.normal(2, 3, n, 8) for name in "qkv"} | changed
    return SoftmaxOperands(**drawn, scale=8**-0.5, causal=causal)


@reduction(of=MultiHead, says="q = 0: the output is the mean of the visible values")
def zero_queries(trial: Run) -> tuple[Tensor, Tensor]:
    """Uniform weights over a causal prefix are a running mean."""
    operands = _heads(trial, causal=True, q=torch.zeros(2, 3, trial.size, 8, dtype=trial.dtype))
    count = torch.arange(1, trial.size + 1, dtype=trial.dtype)[:, None]
    return trial.mix(operands), operands.v.cumsum(2) / count


@reduction(of=MultiHead, says="exactly one visible key: the output is its value, whatever q is")
def one_key(trial: Run) -> tuple[Tensor, Tensor]:
    """A single key has weight one."""
    operands = _heads(trial, k=trial.normal(2, 3, 1, 8), v=trial.normal(2, 3, 1, 8))
    return trial.mix(operands), operands.v.expand(-1, -1, trial.size, -1)


@reduction(of=MultiHead, says="a vector added to every key changes nothing; added to every value it adds to the output")
def constant_shift(trial: Run) -> tuple[Tensor, Tensor]:
    """The softmax is invariant to a shift of each row."""
    operands = _heads(trial, causal=True)
    key_shift, value_shift = trial.normal(8), trial.normal(8)
    shifted = operands.with_tensors({"k": operands.k + key_shift, "v": operands.v + value_shift})
    return trial.mix(shifted), trial.mix(operands) + value_shift


@reduction(of=MultiHead, says="scale = 0 is mean pooling")
def zero_scale(trial: Run) -> tuple[Tensor, Tensor]:
    """Without logits all keys weigh the same."""
    q, k, v = (trial.normal(2, 3, trial.size, 8) for _ in range(3))
    got = trial.mix(SoftmaxOperands(q=q, k=k, v=v, scale=0.0))
    return got, v.mean(2, keepdim=True).expand_as(v)


@reduction(of=MultiHead, says="scale -> infinity retrieves the value of the best key")
def infinite_scale(trial: Run) -> tuple[Tensor, Tensor]:
    """With a huge scale the softmax is an argmax."""
    q, k, v = (trial.normal(2, 3, trial.size, 8) for _ in range(3))
    best = (q @ k.mT).argmax(-1, keepdim=True)
    return trial.mix(SoftmaxOperands(q=q, k=k, v=v, scale=1e9)), v.gather(2, best.expand_as(v))


@reduction(of=MultiHead, says="the sum over heads of P_h v_h W_o[h] equals the concatenated form")
def sum_over_heads(trial: Run) -> tuple[Tensor, Tensor]:
    """W_o acts on each head's block of columns."""
    module = MultiHead(24, 3)
    trial.attention(module)
    inputs = Sequence(x=trial.normal(2, trial.size, 24), causal=True)
    per_head = trial.mix(module.project(inputs)).unbind(1)
    blocks = module.w_o.weight.split(8, dim=1)
    expected = sum((head @ block.mT for head, block in zip(per_head, blocks, strict=True)), torch.zeros(()))
    return module(inputs).x, expected
