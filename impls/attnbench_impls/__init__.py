"""Attention variants: one folder a family, one file a variant, shared engines in `kernels`."""
