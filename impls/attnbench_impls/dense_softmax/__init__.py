"""Exact softmax attention over all keys, and close relatives."""
