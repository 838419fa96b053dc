"""Chains of layers that training runs as one operation."""
