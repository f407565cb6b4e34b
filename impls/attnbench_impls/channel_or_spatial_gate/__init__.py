"""Attention as gates: factors on the channels and places of a feature map."""
