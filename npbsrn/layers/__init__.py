"""Layers: they take parameters and return gradients."""
