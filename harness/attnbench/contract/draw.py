"""Seeded random values for tests and workloads: always drawn on the CPU, so that every device sees the same ones."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from attnbench.contract.attention import Attention, M, P

Module = TypeVar("Module", bound=nn.Module)
A = TypeVar("A", bound=Attention[Any, Any, Any])


class Draw:
    """A stream of random values of one dtype.

    Attributes:
        dtype: floating-point type of what is drawn.
        generator: the underlying source, for functions that take one.
    """

    def __init__(self, seed: int, dtype: torch.dtype = torch.float64) -> None:
        self.generator = torch.Generator().manual_seed(seed % 2**63)
        self.dtype = dtype

    def normal(self, *shape: int) -> Tensor:
        """Draw from the standard normal distribution."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).to(self.dtype)

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw uniformly from [low, high)."""
        return (low + (high - low) * torch.rand(shape, generator=self.generator, dtype=torch.float64)).to(self.dtype)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Draw integers from low to high, both included."""
        return torch.randint(low, high + 1, shape, generator=self.generator)

    def integer(self, low: int, high: int) -> int:
        """Draw one integer from low to high, both included."""
        return int(self.integers(low, high, 1))

    def boolean(self, *shape: int, probability: float = 0.5) -> Tensor:
        """Draw booleans that are True with the given probability."""
        return torch.rand(shape, generator=self.generator, dtype=torch.float64) < probability

    def permutation(self, length: int) -> Tensor:
        """Draw a permutation of 0 to length - 1."""
        return torch.randperm(length, generator=self.generator)

    def module(self, module: Module) -> Module:
        """Give a module random weights and statistics in this dtype, and set it to evaluation.

        Zero-initialised gates and unit gains would hide mistakes, so that every parameter is moved away from them:
        matrices get variance 1 / fan-in, vectors their initial value plus a normal of width 0.3.
        """
        module.to(self.dtype)
        with torch.no_grad():
            for parameter in module.parameters():
                noise = self.normal(*parameter.shape)
                if parameter.ndim >= 2:
                    parameter.copy_(noise / parameter[0].numel() ** 0.5)
                else:
                    parameter.add_(0.3 * noise)
            for name, buffer in module.named_buffers():
                if name.endswith("running_mean"):
                    buffer.copy_(0.3 * self.normal(*buffer.shape))
                elif name.endswith("running_var"):
                    buffer.copy_(self.uniform(*buffer.shape, low=0.5, high=1.5))
        return module.eval()


class Trial(Draw, Generic[P, M]):
    """A draw with the core under test: what a reduction is checked with.

    Attributes:
        mix: the core under test.
        size: a small number that grows from trial to trial, to derive lengths from.
    """

    def __init__(self, seed: int, mix: Callable[[P], M], size: int, dtype: torch.dtype = torch.float64) -> None:
        super().__init__(seed, dtype)
        self.mix = mix
        self.size = size

    def attention(self, module: A) -> A:
        """Randomise a module of the variant and let it run on the core under test."""
        self.module(module).core = self.mix
        return module
