"""The pictures on which the weights are validated during training."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets.pairs import Pair, find_pairs, holds_valid_half, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.training.checkpoint import Origin
from npbsrn.training.config import TrainConfig
from npbsrn.training.data import PatchSource
from npbsrn.training.sieve import Sieve, listing

Array = np.ndarray[Any, Any]

HELD = "validation"  # the name of the set where no folder gives it one


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


def find_sets(origin: Origin, config: TrainConfig) -> dict[str, list[Pair]] | None:
    """Pairs to validate on by the name of their set; the first set decides which weights are best.

    Without validation folders there is one set: of the valid half that lies beside the training pictures, as in DIV2K.
    None where there is none either: then some of the training pictures are held out.
    """
    folder = Path(origin.folder or "")
    if origin.validation:
        found = (find_pairs(place, config.scale, "valid") for place in origin.validation)
        return dict(zip(_names(origin.validation), found, strict=True))
    if holds_valid_half(folder):
        return {HELD: find_pairs(folder, config.scale, "valid")}
    return None


def read_sets(
    sets: dict[str, list[Pair]] | None, source: PatchSource, origin: Origin, config: TrainConfig, sieve: Sieve
) -> list[ValidationSet]:
    """Read the pictures of all sets; of a valid half the first ones.

    Raises
    ------
    DataError
        If no picture of a set can be used.
    """
    if sets is None:
        held = [(pair.name, lr.rows(0, lr.height), hr.rows(0, hr.height)) for pair, (lr, hr) in source.held]
        return [ValidationSet(HELD, held)] if held else []
    limit = None if origin.validation else config.holdout
    if limit == 0:
        return []
    found = []
    for name, pairs in sets.items():
        usable = sieve.read(name, pairs, lambda pair: _read(pair, config.scale))
        pictures = [(pair.name, lr, hr) for pair, (lr, hr) in islice(usable, limit)]
        if not pictures:
            reasons = list(sieve.reasons[name].values())
            raise DataError(f"no picture of {name} can be used to judge on: {listing(reasons)}; give others")
        found.append(ValidationSet(name, pictures))
    return found


def _read(pair: Pair, scale: int) -> tuple[Array, Array]:
    lr, hr = read_pair(pair, scale)
    if min(hr.shape[:2]) <= 2 * scale:
        raise PictureError(f"{pair.hr} is too small to be judged")
    return lr, hr


def _names(folders: Sequence[str]) -> list[str]:
    """The folders' own names, numbered where two are equal."""
    names: list[str] = []
    for folder in folders:
        own = os.path.basename(os.path.normpath(folder))
        taken = (f"{own}-{n}" if n > 1 else own for n in range(1, len(folders) + 1))
        names.append(next(name for name in taken if name not in names))
    return names
