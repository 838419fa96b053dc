"""The files by which a training run's folder is recognised."""

from collections.abc import Iterable
from pathlib import Path

CHECKPOINTS = ("checkpoint.npz", "checkpoint-previous.npz")
FRESH = "checkpoint-new.npz"  # whole, too: it stands for a moment, until it takes the first one's place
FINAL, BEST = "weights.npz", "best.npz"  # averaged: of the last step, and of the best so far
WEIGHTS = FINAL, BEST
PACKED = "packed.npz"  # of a table's row, beside them or alone
CONFIG = "config.json"
METRICS = "metrics.csv"
PICTURES = "pictures"
CURVES = "curves.png"


def is_run(names: Iterable[str]) -> bool:
    """Whether a folder with files of these names is that of a run, also of one without checkpoints any more.

    A run writes its configuration and metrics before anything else, and pictures long after: what is not yet
    recognised holds none.
    """
    there = set(names)
    return not there.isdisjoint((*CHECKPOINTS, FRESH)) or {CONFIG, METRICS} <= there


def holds_run(folder: Path) -> bool:
    """Whether a folder is that of a run."""
    return folder.is_dir() and is_run(path.name for path in folder.iterdir())
