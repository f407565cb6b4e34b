"""Attention between streams: cross attention and fusion of modalities."""
