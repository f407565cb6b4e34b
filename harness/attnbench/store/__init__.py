"""The store: one SQLite file that indexes result records and keeps each of them whole. Free of torch."""

from attnbench.store.database import Store
from attnbench.store.files import RefusedError
from attnbench.store.rows import StoredResult

__all__ = ["RefusedError", "Store", "StoredResult"]
