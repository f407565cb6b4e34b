"""A cache of the last tokens only, which does not grow."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from attnbench.contract import State


@dataclass
class RingCache(State):
    """Keys and values (B, H_kv, W, D) of the last W tokens: token t lies in slot t mod W.

    Attributes:
        k: keys.
        v: values.
        length: tokens seen.
    """

    k: Tensor
    v: Tensor
    length: int = 0

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Self]:
        """Write new rows, in place, over the oldest.

        Returns:
            The keys and values that the new tokens may see, new ones last, and the ring after them. For a single
            token these are the ring itself, in its own order, which the softmax does not notice.
        """
        slots, end = self.k.shape[2], self.length + k.shape[2]
        if k.shape[2] == 1:
            keys, values = self.k[:, :, :end], self.v[:, :, :end]
        else:
            old = torch.arange(max(0, self.length - slots + 1), self.length, device=k.device) % slots
            keys, values = torch.cat([self.k[:, :, old], k], 2), torch.cat([self.v[:, :, old], v], 2)
        fresh = torch.arange(max(self.length, end - slots), end, device=k.device)
        self.k[:, :, fresh % slots] = k[:, :, fresh - self.length]
        self.v[:, :, fresh % slots] = v[:, :, fresh - self.length]
        return keys, values, replace(self, length=end)

    @property
    def nbytes(self) -> int:
        """Bytes of the ring, which do not grow with the tokens seen."""
        return self.k.nbytes + self.v.nbytes

    def clone(self) -> Self:
        """Return an independent copy."""
        return replace(self, k=self.k.clone(), v=self.v.clone())
