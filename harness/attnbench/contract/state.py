"""What decoding keeps between steps."""

from abc import ABC, abstractmethod
from typing import Self


class State(ABC):
    """What decoding keeps between steps. Opaque to the harness."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes that the state holds for the tokens seen so far, over the whole batch."""

    @abstractmethod
    def clone(self) -> Self:
        """Return an independent copy, so that a decode can be split and resumed."""
