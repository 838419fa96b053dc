"""Kernels compiled by Numba. Importing a module of this folder imports Numba, so it is done when one is needed."""
