"""Attention inside windows and neighborhoods of a grid or sequence."""
