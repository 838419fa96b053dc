"""The pictures that the weights are judged on while they are trained."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets import Pair, find_pairs, read_pair
from npbsrn.training.checkpoint import Origin
from npbsrn.training.config import TrainConfig

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ValidationSet:
    """One folder to judge on.

    Parameters
    ----------
    name : str
        In the names of columns and curves; no two sets of a run share one.
    pictures : list of (name, lr, hr)
        (h, w, 3) and (h * scale, w * scale, 3) uint8.
    """

    name: str
    pictures: list[tuple[str, Array, Array]]


def read_sets(pairs: dict[str, list[Pair]], scale: int) -> list[ValidationSet]:
    """Read the pictures of all sets that have some."""
    return [
        ValidationSet(name, [(pair.name, *read_pair(pair, scale)) for pair in found])
        for name, found in pairs.items()
        if found
    ]


def split_pairs(origin: Origin, config: TrainConfig) -> tuple[list[Pair], dict[str, list[Pair]]]:
    """Pairs to train on, and pairs to validate on by the name of their set.

    The first set decides which weights are best. Without validation folders there is one set: some pictures of DIV2K's
    valid half where that is there, else some that are then not trained on.
    """
    folder = Path(origin.folder or "")
    pairs = find_pairs(folder, config.scale)
    if origin.validation:
        names = _names(origin.validation)
        found = (find_pairs(place, config.scale, "valid") for place in origin.validation)
        return pairs, dict(zip(names, found, strict=True))
    if (folder / "DIV2K_valid_HR").is_dir():
        return pairs, {"validation": find_pairs(folder, config.scale, "valid")[: config.holdout]}
    count = min(config.holdout, len(pairs) // 10)
    held = {round((n + 0.5) * len(pairs) / count) for n in range(count)}
    kept = [pair for i, pair in enumerate(pairs) if i not in held]
    return kept, {"validation": [pairs[i] for i in sorted(held)]}


def _names(folders: Sequence[str]) -> list[str]:
    """The folders' own names, numbered where two are equal."""
    names: list[str] = []
    for folder in folders:
        own = os.path.basename(os.path.normpath(folder))
        taken = (f"{own}-{n}" if n > 1 else own for n in range(1, len(folders) + 1))
        names.append(next(name for name in taken if name not in names))
    return names
