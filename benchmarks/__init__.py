"""Benchmarks; run them from the repository's root."""
