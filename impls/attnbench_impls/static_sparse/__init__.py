"""Sparse softmax attention whose pattern is fixed before any token is seen."""
