"""npbsrn's training step in PyTorch, for a GPU; run from the repository's root: ``python -m training.gpu.train``."""
