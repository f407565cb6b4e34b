"""Attention among the series of a group, at each time step."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.contract import (
    Attention,
    Claim,
    Extra,
    Fidelity,
    GroupedSet,
    Layout,
    Operands,
    Outputs,
    Pattern,
    Place,
    Trial,
    Unsupported,
    implementation,
    reduction,
    variant,
)
from attnbench_impls.kernels.rotary import Rotary
from attnbench_impls.kernels.softmax import kept_weights, masked_softmax, merge_heads
from attnbench_impls.kernels.t5 import T5FeedForward, T5Heads


@dataclass(frozen=True, kw_only=True)
class GroupOperands(Operands):
    """Heads of S series at T time steps.

    Attributes:
        q: (T, H, S, D).
        k: (T, H, S, D).
        v: (T, H, S, D).
        group_ids: (S,) integers; only series with the same id see each other.
        observed: (S, T), True where the key of a series may be attended to. Queries are not masked.
        scale: factor on q . k.
        kept: (T, H, S, S) attention weights that dropout keeps, scaled by 1 / (1 - p); None without dropout.
    """

    CONSTANT = frozenset({"kept"})

    q: Tensor
    k: Tensor
    v: Tensor
    group_ids: Tensor
    observed: Tensor
    scale: float
    kept: Tensor | None = None


@variant(
    slug="chronos_group_attention",
    paper="chronos_group_attention",
    family="grouped_set",
    layout=Layout.SET,
    patterns={Pattern.NONCAUSAL_SELF},
    fidelity=Fidelity.CODE_VERIFIED,
    accepts={Extra.GENERATOR},
    settings={
        "correctness": [{"head_dim": 8, "ff_dim": 64}, {"head_dim": 6, "ff_dim": 32, "scale": 0.5}],
        "accuracy": [{"head_dim": 32, "ff_dim": 256}],
    },
    claims=[
        Claim(
            text="Series forecast together with the others of their group are forecast better than each alone.",
            metric="mean_squared_error",
        )
    ],
)
class ChronosGroupAttention(Attention[GroupedSet, GroupOperands, Tensor]):
    """Group attention: at each time step a series attends to the series of its group, itself included.

    x (S, T, D) -> q, k, v (T, H, S, d) -> softmax(q k^T) v over the group's series observed at t -> W_o, without
    1 / sqrt(d) and without positions. The layer is the paper's whole block of three pre-norm residual sub-layers:
    attention of each series over its own time steps, with rotary positions; group attention, which is the core;
    and a feed-forward. The norm that closes an encoder is left to the model.

    A query whose whole group is unobserved gives 0, where the released model averages all series of the batch.
    Source: Chronos-2, 2025.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        head_dim: int = 64,
        ff_dim: int = 2048,
        rope_theta: float = 10000.0,
        norm_eps: float = 1e-6,
        scale: float = 1.0,
        init_factor: float = 0.05,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout
        self.rotary = Rotary(head_dim, rope_theta, "half")
        self.time = T5Heads(dim, heads, head_dim, init_factor=init_factor, norm_eps=norm_eps)
        self.group = T5Heads(dim, heads, head_dim, init_factor=init_factor, norm_eps=norm_eps)
        self.feed_forward = T5FeedForward(dim, ff_dim, init_factor=init_factor, norm_eps=norm_eps)

    def forward(self, inputs: GroupedSet) -> Outputs:
        """Run time attention, group attention and the feed-forward."""
        inputs = inputs.advance(Outputs.of(inputs.x + self._time_attention(inputs)))
        x = super().forward(inputs).x
        return Outputs.of(x + self._dropped(self.feed_forward(x), inputs))

    def project(self, inputs: GroupedSet) -> GroupOperands:
        """Project to heads, with time as the batch and series as the tokens."""
        q, k, v = self.group(inputs.x.transpose(0, 1))
        ids, observed = inputs.group_ids, inputs.observed
        kept = self._kept((*q.shape[:3], len(ids)), q, inputs)
        return GroupOperands(q=q, k=k, v=v, group_ids=ids, observed=observed, scale=self.scale, kept=kept)

    @staticmethod
    def mix(operands: GroupOperands) -> Tensor:
        """At each step gather each group's series and those of them that are observed: dense softmax attention."""
        wide, ids = torch.promote_types(operands.q.dtype, torch.float32), operands.group_ids
        q, k, v = operands.q.to(wide), operands.k.to(wide), operands.v.to(wide)
        out = 0 * (q + k + v)  # rows without a key stay zero, and differentiable
        for t in range(len(q)):
            for group in ids.unique():
                members = (ids == group).nonzero().flatten()
                keys = members[operands.observed[members, t]]
                if len(keys) == 0:
                    continue
                logits = operands.scale * (q[t][:, members] @ k[t][:, keys].mT)
                weights = (logits - logits.amax(-1, keepdim=True)).exp()
                weights = weights / weights.sum(-1, keepdim=True)
                if operands.kept is not None:
                    weights = weights * operands.kept[t][:, members][:, :, keys]
                out[t, :, members] = weights @ v[t][:, keys]
        return out.to(operands.v.dtype)

    def merge(self, mixed: Tensor, inputs: GroupedSet) -> Outputs:
        """Return to model width, to series first, and add the residual."""
        update = self.group.w_o(merge_heads(mixed)).transpose(0, 1)
        return Outputs.of(inputs.x + self._dropped(update, inputs))

    def _time_attention(self, inputs: GroupedSet) -> Tensor:
        q, k, v = self.time(inputs.x)
        steps = torch.arange(q.shape[2], device=q.device)
        logits = self.scale * (self.rotary(q, steps) @ self.rotary(k, steps).mT)
        weights = masked_softmax(logits, inputs.observed[:, None, None, :])
        out: Tensor = self.time.w_o(merge_heads(self._dropped(weights, inputs) @ v))
        return self._dropped(out, inputs)

    def _dropped(self, x: Tensor, inputs: GroupedSet) -> Tensor:
        kept = self._kept(tuple(x.shape), x, inputs)
        return x if kept is None else x * kept

    def _kept(self, shape: tuple[int, ...], like: Tensor, inputs: GroupedSet) -> Tensor | None:
        if not (self.training and self.dropout > 0):
            return None
        return kept_weights(shape, self.dropout, like, inputs.extras.generator)


@implementation(of=ChronosGroupAttention, name="torch")
def dense(operands: GroupOperands) -> Tensor:
    """scaled_dot_product_attention of all series with all, under a mask of groups and observed keys."""
    if operands.kept is not None:
        raise Unsupported("scaled_dot_product_attention draws its own dropout")
    same = operands.group_ids[:, None] == operands.group_ids
    allowed = (same & operands.observed.T[:, None, :])[:, None]
    some = allowed.any(-1, keepdim=True)
    out = F.scaled_dot_product_attention(operands.q, operands.k, operands.v, allowed | ~some, scale=operands.scale)
    return torch.where(some, out, 0.0)


@implementation(of=ChronosGroupAttention, name="sorted")
def by_size(operands: GroupOperands) -> Tensor:
    """Series sorted by group; groups of equal size are one batch, so that nothing is padded or masked away."""
    order = operands.group_ids.argsort()
    sizes = operands.group_ids.unique(return_counts=True)[1]
    starts = sizes.cumsum(0) - sizes
    places, parts = [], []
    for size in sizes.unique().tolist():
        members = order[starts[sizes == size, None] + torch.arange(size, device=order.device)]
        q, k, v = (tensor[:, :, members] for tensor in (operands.q, operands.k, operands.v))
        allowed = operands.observed.T[:, members][:, None, :, None, :]
        weights = masked_softmax(operands.scale * (q @ k.mT), allowed)
        if operands.kept is not None:
            weights = weights * operands.kept[:, :, members[:, :, None], members[:, None, :]]
        places.append(members.flatten())
        parts.append((weights @ v).flatten(2, 3))
    return torch.cat(parts, 2)[:, :, torch.cat(places).argsort()]


Run = Trial[GroupOperands, Tensor]


def _series(trial: Run, ids: Tensor, steps: int, density: float = 1.0) -> GroupOperands:
    q, k, v = (trial.normal(steps, 2, len(ids), 4) for _ in range(3))
    observed = trial.boolean(len(ids), steps, probability=density)
    return GroupOperands(q=q, k=k, v=v, group_ids=ids, observed=observed, scale=1.0)


@reduction(of=ChronosGroupAttention, says="every series its own group: the value of the series where it is observed")
def alone(trial: Run) -> tuple[Tensor, Tensor]:
    """A single key has weight one, and a masked one leaves nothing."""
    operands = _series(trial, trial.permutation(trial.size), steps=4, density=0.7)
    return trial.mix(operands), operands.v * operands.observed.T[:, None, :, None]


@reduction(of=ChronosGroupAttention, says="every series its own group: each runs as if it came alone")
def independent_series(trial: Run) -> tuple[Tensor, Tensor]:
    """The whole block does not look beyond the group."""
    module = trial.attention(ChronosGroupAttention(8, 2, head_dim=4, ff_dim=8))
    x, ids, observed = trial.normal(trial.size, 3, 8), trial.permutation(trial.size), trial.boolean(trial.size, 3)
    got = module(GroupedSet(x=x, group_ids=ids, observed=observed)).x
    rows = torch.arange(trial.size).split(1)
    return got, torch.cat([module(GroupedSet(x=x[i], group_ids=ids[i], observed=observed[i])).x for i in rows])


@reduction(of=ChronosGroupAttention, says="one group and one step: bidirectional attention with scale 1")
def one_step(trial: Run) -> tuple[Tensor, Tensor]:
    """With nothing to separate, series are tokens."""
    operands = _series(trial, torch.zeros(trial.size).int(), steps=1)
    return trial.mix(operands), (operands.q @ operands.k.mT).softmax(-1) @ operands.v


@reduction(of=ChronosGroupAttention, says="one group, all observed: axial attention, rotary over time, then series")
def axial(trial: Run) -> tuple[Tensor, Tensor]:
    """The block without masks, written out."""
    module = trial.attention(ChronosGroupAttention(8, 2, head_dim=4, ff_dim=8))
    x, steps = trial.normal(trial.size, 5, 8), torch.arange(5, dtype=trial.dtype)
    got = module(GroupedSet(x=x, group_ids=torch.zeros(trial.size).int(), observed=torch.ones(trial.size, 5).bool())).x
    turn = torch.exp(1j * steps[:, None] * torch.tensor([1.0, 0.01], dtype=trial.dtype))
    q, k, v = module.time(x)
    q, k = (torch.complex(*t.chunk(2, -1)) * turn for t in (q, k))
    x = x + module.time.w_o(merge_heads((q @ k.conj().mT).real.softmax(-1) @ v))
    q, k, v = module.group(x.transpose(0, 1))
    x = x + module.group.w_o(merge_heads((q @ k.mT).softmax(-1) @ v)).transpose(0, 1)
    return got, x + module.feed_forward(x)


@reduction(of=ChronosGroupAttention, says="W_q divided by sqrt(d): standard scaled attention")
def standard_scale(trial: Run) -> tuple[Tensor, Tensor]:
    """The scale may sit in the weights."""
    operands = _series(trial, trial.integers(0, 2, trial.size), steps=2)
    scaled = operands.with_tensors({"q": operands.q / 4**0.5})
    same = operands.group_ids[:, None] == operands.group_ids
    return trial.mix(scaled), F.scaled_dot_product_attention(operands.q, operands.k, operands.v, attn_mask=same)
