"""Attention among the members of groups: sets of series, objects or samples."""
