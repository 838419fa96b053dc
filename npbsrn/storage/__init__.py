"""Atomic file writes, nested parameters, and the file names of a run's folder."""
