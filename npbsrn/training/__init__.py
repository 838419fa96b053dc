"""Training: configuration, data, optimiser, checkpoints and the loop."""
