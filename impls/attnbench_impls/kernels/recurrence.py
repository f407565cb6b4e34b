"""Operands, state and chunked engine of linear attention with a decay for each key channel."""

from dataclasses import dataclass, replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.contract import Operands, State, TensorRecord


@dataclass(frozen=True, kw_only=True)
class GatedLinearOperands(Operands):
    """Heads of linear attention with a decay for each key channel.

    Attributes:
        q: (B, H, N, D_k).
        k: (B, H, N, D_k).
        v: (B, H, N, D_v).
        log_decay: (B, H, N, D_k), at most 0; the state decays before it takes in its token.
        scale: factor on q.
        chunk: tokens between two states, a power of two, for implementations that work in chunks.
        initial_state: (B, H, D_k, D_v), or None for zeros.
    """

    PRECISE = frozenset({"log_decay", "initial_state"})

    q: Tensor
    k: Tensor
    v: Tensor
    log_decay: Tensor
    scale: float
    chunk: int = 64
    initial_state: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Recurrence(TensorRecord):
    """What a recurrent core returns.

    Attributes:
        out: (B, H, N, D_v).
        final_state: (B, H, D_k, D_v) after the last token, in at least float32.
    """

    PRECISE = frozenset({"final_state"})

    out: Tensor
    final_state: Tensor


@dataclass(frozen=True)
class MatrixState(State):
    """The state (B, H, D_k, D_v) of a linear recurrence: as large after a million tokens as before the first."""

    matrix: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes of the matrices."""
        return self.matrix.nbytes

    def clone(self) -> Self:
        """Return an independent copy."""
        return replace(self, matrix=self.matrix.clone())


def chunked_recurrence(operands: GatedLinearOperands) -> Recurrence:
    """Compute S_t = diag(exp(log_decay_t)) S_(t-1) + k_t v_t^T and o_t = scale q_t S_t, a chunk at a time.

    Matmuls within chunks and a state between them. No exponent is above 0, so that nothing overflows.
    """
    wide, length = operands.log_decay.dtype, operands.q.shape[2]
    chunk = min(operands.chunk, 1 << (length - 1).bit_length())

    def cut(x: Tensor) -> Tensor:
        """(B, H, N, D) -> (B, H, chunks, chunk, D); tokens of zeros at the end change neither outputs nor state."""
        return F.pad(x.to(wide), (0, 0, 0, -length % chunk)).reshape(*x.shape[:2], -1, chunk, x.shape[3])

    q, k, v, log_decay = cut(operands.q), cut(operands.k), cut(operands.v), cut(operands.log_decay)
    states, final = _states(k, v, log_decay, operands.initial_state)
    out = operands.scale * ((q * log_decay.cumsum(3).exp()) @ states + _scores(q, k, log_decay) @ v)
    return Recurrence(out=out.flatten(2, 3)[:, :, :length].to(operands.v.dtype), final_state=final)


def _states(k: Tensor, v: Tensor, log_decay: Tensor, initial: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the state before each chunk (B, H, chunks, D_k, D_v), and the one after the last."""
    added = (k * _later(log_decay).exp()).mT @ v
    kept = log_decay.sum(3).exp()[..., None]
    state = torch.zeros_like(added[:, :, 0]) if initial is None else initial
    before = []
    for keep, add in zip(kept.unbind(2), added.unbind(2), strict=True):
        before.append(state)
        state = keep * state + add
    return torch.stack(before, 2), state


def _scores(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """Return the decayed scores (B, H, chunks, chunk, chunk) between the tokens of a chunk, lower triangular.

    Two tokens in the two halves of a block meet at the last row of the first half: the key decays from its own row up
    to it, the query from it down to its row, and their scores are one matmul. Halves of one token need no decay.
    Sums start at the meeting row, since differences of long sums would lose the digits of a short decay.
    """
    blocks = (q * k).sum(-1)[..., None, None]
    while blocks.shape[-3] > 1:
        halves = [x.unflatten(-2, (-1, 2, blocks.shape[-1])).unbind(-3) for x in (q, k, log_decay)]
        (_, query), (key, _), (early, late) = halves
        across = (query * late.cumsum(-2).exp()) @ (key * _later(early).exp()).mT
        first, second = blocks.unflatten(-3, (-1, 2)).unbind(-3)
        blocks = torch.cat([F.pad(first, (0, first.shape[-1])), torch.cat([across, second], -1)], -2)
    return blocks.squeeze(-3)


def _later(x: Tensor) -> Tensor:
    """Return for each row (..., N, D) the sum of the rows after it."""
    return F.pad(x[..., 1:, :], (0, 0, 0, 1)).flip(-2).cumsum(-2).flip(-2)
