"""Softmax attention over a compressed latent of keys and values."""
