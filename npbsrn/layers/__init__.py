"""Layers: parameters come in, gradients go out."""
