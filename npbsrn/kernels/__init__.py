"""Kernels compiled by Numba. Importing a module of this folder imports Numba, so import one only when it is needed."""
