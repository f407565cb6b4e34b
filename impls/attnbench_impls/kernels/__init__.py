"""Machinery that several variants share: operands of a common form, caches, and engines."""
