"""Operands, masks and cache of scaled dot-product attention, shared by the softmax families."""

from dataclasses import dataclass, replace
from functools import reduce
from typing import Self

import torch
from torch import Tensor

from attnbench.contract import Operands, State
from attnbench.contract.attention import P


@dataclass(frozen=True, kw_only=True)
class SoftmaxOperands(Operands):
    """Heads of scaled dot-product attention.

    Attributes:
        q: (B, H, N, D).
        k: (B, H_kv, S, D), where H_kv divides H: query head h reads key head h // (H / H_kv).
        v: (B, H_kv, S, D_v).
        scale: factor on q . k.
        causal: query i sees the keys up to S - N + i (bottom right).
        key_padding: (B, S), True for real keys.
        kept: (B, H, N, S) attention weights that dropout keeps, scaled by 1 / (1 - p); None without dropout.
    """

    CONSTANT = frozenset({"kept"})

    q: Tensor
    k: Tensor
    v: Tensor
    scale: float
    causal: bool = False
    key_padding: Tensor | None = None
    kept: Tensor | None = None


def widened(operands: P) -> P:
    """Return operands in float32 at least, for definitions and for scores that half precision would round too far."""
    floating = [tensor for tensor in operands.tensors().values() if tensor.is_floating_point()]
    wide = reduce(torch.promote_types, (tensor.dtype for tensor in floating), torch.float32)
    return operands.to(wide, floating[0].device)


def distance(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return (queries, keys) integers: how far each key lies before its query, bottom-right aligned."""
    i = torch.arange(queries, device=device)[:, None] + keys - queries
    return i - torch.arange(keys, device=device)[None, :]


def kept_weights(shape: tuple[int, ...], dropout: float, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw the factors that inverted dropout multiplies attention weights with: 0 or 1 / (1 - p)."""
    source = generator.device if generator is not None else like.device
    draw = torch.rand(shape, generator=generator, device=source).to(like.device)
    return (draw >= dropout).to(like.dtype) / (1 - dropout)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, H * D) -> (B, H, N, D); head h owns the contiguous columns h * D to (h + 1) * D - 1."""
    return x.reshape(*x.shape[:-1], heads, -1).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """(B, H, N, D) -> (B, N, H * D)."""
    return x.transpose(1, 2).flatten(2)


def masked_softmax(logits: Tensor, allowed: Tensor) -> Tensor:
    """Softmax over the last axis where `allowed`, in at least float32; a row without an allowed key is zero.

    The zero rows have zero gradients too: their logits are replaced before the softmax, not after it.
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    some = allowed.any(-1, keepdim=True)
    wide = wide.masked_fill(~allowed & some, -torch.inf)
    return (wide.softmax(-1) * some).to(logits.dtype)


@dataclass
class KVCache(State):
    """Keys and values (B, H_kv, capacity, D) of the tokens seen so far.

    Attributes:
        k: keys, as they are attended to (rotated, where positions rotate).
        v: values.
        length: tokens seen.
    """

    k: Tensor
    v: Tensor
    length: int = 0

    @classmethod
    def empty(cls, rows: tuple[int, int, int], k_dim: int, v_dim: int, like: Tensor) -> Self:
        """Make room for rows = (B, H_kv, capacity), in the dtype and on the device of `like`."""
        return cls(like.new_zeros(*rows, k_dim), like.new_zeros(*rows, v_dim))

    def append(self, k: Tensor, v: Tensor) -> Self:
        """Write new rows behind those seen, in place, and return the longer cache.

        Raises:
            ValueError: the cache has no room for the rows.
        """
        end = self.length + k.shape[2]
        if end > self.k.shape[2]:
            raise ValueError(f"the cache holds {self.k.shape[2]} tokens, {end} are needed")
        self.k[:, :, self.length : end] = k
        self.v[:, :, self.length : end] = v
        return replace(self, length=end)

    @property
    def keys(self) -> Tensor:
        """The rows of k seen so far."""
        return self.k[:, :, : self.length]

    @property
    def values(self) -> Tensor:
        """The rows of v seen so far."""
        return self.v[:, :, : self.length]

    @property
    def nbytes(self) -> int:
        """Bytes of the rows seen so far."""
        return self.keys.nbytes + self.values.nbytes

    def clone(self) -> Self:
        """Return an independent copy."""
        return replace(self, k=self.k.clone(), v=self.v.clone())
