"""Gated linear attention."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.contract import (
    Claim,
    DecodableAttention,
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
from attnbench.errors import UserError
from attnbench_impls.kernels.recurrence import GatedLinearOperands, MatrixState, Recurrence, chunked_recurrence
from attnbench_impls.kernels.softmax import merge_heads, split_heads


@variant(
    slug="gated_linear_attention",
    paper="gated_linear_attention",
    family="linear",
    layout=Layout.SEQUENCE,
    patterns={Pattern.CAUSAL_SELF, Pattern.DECODE},
    fidelity=Fidelity.CODE_VERIFIED,
    properties={Property.CAUSAL_WEIGHTS, Property.BATCH_INDEPENDENT},
    settings={"correctness": [{"chunk": 8}, {"expand_k": 1.0, "expand_v": 2.0, "tau": 1.0}]},
    claims=[
        Claim(
            text="Competitive with RetNet and Mamba in language modelling, and generalises to longer sequences.",
            metric="language-model loss relative to retention and mamba",
        )
    ],
)
class GatedLinearAttention(DecodableAttention[Sequence, GatedLinearOperands, Recurrence, MatrixState]):
    """Linear attention whose state forgets at a rate that each token sets for every key channel.

    x (B, N, D) -> q, k, log decay (B, H, N, d_k), v (B, H, N, d_v); S_t = diag(alpha_t) S_(t-1) + k_t v_t^T,
    o_t = scale q_t S_t; RMSNorm of each head, then the gate silu(x W_g), then W_o -> (B, N, D). The short convolution
    that some releases put before q, k and v is not part of it. `chunk` changes the speed, not the function.
    Source: Gated Linear Attention Transformers with Hardware-Efficient Training, 2023.

    Raises:
        UserError: widths that do not divide into heads, or a chunk that is no power of two.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        place: Place = Place(),
        expand_k: float = 0.5,
        expand_v: float = 1.0,
        gate_low_rank: int = 16,
        tau: float = 16.0,
        scale: float | None = None,
        eps: float = 1e-5,
        chunk: int = 64,
    ) -> None:
        super().__init__()
        k_dim, v_dim = int(dim * expand_k), int(dim * expand_v)
        if k_dim % heads or v_dim % heads:
            raise UserError(f"{heads} heads must divide the key width {k_dim} and the value width {v_dim}")
        if chunk < 1 or chunk & (chunk - 1):
            raise UserError(f"chunk must be a power of two, got {chunk}")
        self.heads, self.tau, self.chunk = heads, tau, chunk
        self.scale = (k_dim // heads) ** -0.5 if scale is None else scale
        self.w_q = nn.Linear(dim, k_dim, bias=False)
        self.w_k = nn.Linear(dim, k_dim, bias=False)
        self.w_v = nn.Linear(dim, v_dim, bias=False)
        self.w_gate = nn.Linear(dim, v_dim, bias=False)
        self.w_low = nn.Linear(dim, gate_low_rank, bias=False)
        self.w_decay = nn.Linear(gate_low_rank, k_dim)
        self.norm = nn.RMSNorm(v_dim // heads, eps=eps)
        self.w_o = nn.Linear(v_dim, dim, bias=False)
        for linear in (self.w_q, self.w_k, self.w_v, self.w_gate, self.w_low, self.w_decay):
            nn.init.normal_(linear.weight, std=0.02)
        nn.init.zeros_(self.w_decay.bias)
        nn.init.normal_(self.w_o.weight, std=0.02 / (2 * place.depth) ** 0.5)

    def project(self, inputs: Sequence) -> GatedLinearOperands:
        """Project to heads; log decays are computed in float32 at least."""
        rate = self.w_decay(self.w_low(inputs.x))
        log_decay = F.logsigmoid(rate.to(torch.promote_types(rate.dtype, torch.float32))) / self.tau
        q, k, v = (split_heads(linear(inputs.x), self.heads) for linear in (self.w_q, self.w_k, self.w_v))
        return GatedLinearOperands(
            q=q,
            k=k,
            v=v,
            log_decay=split_heads(log_decay, self.heads),
            scale=self.scale,
            chunk=self.chunk,
        )

    @staticmethod
    def mix(operands: GatedLinearOperands) -> Recurrence:
        """Step through the tokens: decay the state, add the outer product of k and v, read it with q."""
        decay = operands.log_decay.exp()
        q, k, v = (tensor.to(decay.dtype) for tensor in (operands.q, operands.k, operands.v))
        state = operands.initial_state
        if state is None:
            state = decay.new_zeros(*q.shape[:2], q.shape[3], v.shape[3])
        rows = []
        for t in range(q.shape[2]):
            state = decay[:, :, t, :, None] * state + k[:, :, t, :, None] * v[:, :, t, None, :]
            rows.append(torch.einsum("bhk,bhkv->bhv", operands.scale * q[:, :, t], state))
        return Recurrence(out=torch.stack(rows, 2).to(operands.v.dtype), final_state=state)

    def merge(self, mixed: Recurrence, inputs: Sequence) -> Outputs:
        """Normalise each head, gate, and return to model width."""
        return Outputs.of(self.w_o(merge_heads(self.norm(mixed.out)) * F.silu(self.w_gate(inputs.x))))

    def init_state(self, batch: int, capacity: int) -> MatrixState:
        """Make a state of zeros, of the same size for every capacity."""
        weight = self.w_k.weight
        wide = torch.promote_types(weight.dtype, torch.float32)
        sizes = (self.w_k.out_features // self.heads, self.w_v.out_features // self.heads)
        return MatrixState(weight.new_zeros(batch, self.heads, *sizes, dtype=wide))

    def extend(self, inputs: Sequence, state: MatrixState) -> tuple[GatedLinearOperands, MatrixState]:
        """Let the new tokens start from the state."""
        return replace(self.project(inputs), initial_state=state.matrix), state

    def absorb(self, state: MatrixState, mixed: Recurrence) -> MatrixState:
        """Keep the state after the last token."""
        return MatrixState(mixed.final_state)


@implementation(of=GatedLinearAttention, name="chunked")
def chunked(operands: GatedLinearOperands) -> Recurrence:
    """Matmuls within chunks and a state between them; no exponent is above 0, so that nothing overflows."""
    return chunked_recurrence(operands)


Run = Trial[GatedLinearOperands, Recurrence]


def _heads(trial: Run, **changed: Tensor) -> GatedLinearOperands:
    shape = (2, 3, 3 * trial.size, 4)
    drawn = {name: trial.normal(*shape) for name in "qkv"} | {"log_decay": -trial.uniform(*shape)} | changed
    return GatedLinearOperands(**drawn, scale=0.5, chunk=8)


@reduction(of=GatedLinearAttention, says="no decay: linear attention without a normaliser, times the scale")
def no_decay(trial: Run) -> tuple[Tensor, Tensor]:
    """The scores of the past, neither decayed nor normalised."""
    operands = _heads(trial, log_decay=torch.zeros(2, 3, 3 * trial.size, 4, dtype=trial.dtype))
    return trial.mix(operands).out, 0.5 * (operands.q @ operands.k.mT).tril() @ operands.v


@reduction(of=GatedLinearAttention, says="a decay that all channels share is simple GLA; a constant one is retention")
def shared_decay(trial: Run) -> tuple[Tensor, Tensor]:
    """Scores times the product of the decays in between, for a decay of each token and for one of each head."""
    shape = (2, 3, 3 * trial.size, 1)
    pairs = []
    for shared in (-trial.uniform(*shape), -trial.uniform(1, 3, 1, 1).expand(shape)):
        operands = _heads(trial, log_decay=shared.expand(-1, -1, -1, 4))
        total = shared.cumsum(2)
        scores = (operands.q @ operands.k.mT) * (total - total.mT).exp()
        pairs.append((trial.mix(operands).out, 0.5 * scores.tril() @ operands.v))
    got, expected = zip(*pairs, strict=True)
    return torch.stack(got), torch.stack(expected)


@reduction(of=GatedLinearAttention, says="k = 1 - alpha with a free q is hgrn2")
def tied_key(trial: Run) -> tuple[Tensor, Tensor]:
    """Each row of the state is a running average, with the forget gate as its weight; checked with the final state."""
    forget = trial.uniform(2, 3, 3 * trial.size, 4)
    operands = _heads(trial, k=1 - forget, log_decay=forget.log())
    average = torch.zeros(2, 3, 4, 4, dtype=trial.dtype)
    rows = []
    for query, gate, value in zip(*(x.unbind(2) for x in (operands.q, forget, operands.v)), strict=True):
        average = value[..., None, :].lerp(average, gate[..., None])
        rows.append((0.5 * query[..., None, :] @ average).squeeze(-2))
    mixed = trial.mix(operands)
    return torch.cat([mixed.out, mixed.final_state], 2), torch.cat([torch.stack(rows, 2), average], 2)


@reduction(of=GatedLinearAttention, says="a decay to nothing leaves each token its own value, times scale q . k")
def total_decay(trial: Run) -> tuple[Tensor, Tensor]:
    """The state forgets everything before it takes in the token."""
    operands = _heads(trial, log_decay=torch.full((2, 3, 3 * trial.size, 4), -1e4, dtype=trial.dtype))
    return trial.mix(operands).out, 0.5 * (operands.q * operands.k).sum(-1, keepdim=True) * operands.v
