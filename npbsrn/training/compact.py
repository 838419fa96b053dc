"""A run's state in half its bytes, for moving it to another machine."""

import dataclasses
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from npbsrn.storage.run_files import CHECKPOINTS
from npbsrn.training.checkpoint import State, save_checkpoint
from npbsrn.training.folder import own_folder
from npbsrn.training.optimizer import Vector
from npbsrn.training.resume import load_newest

Array = np.ndarray[Any, Any]

# Bits of the mantissa that are kept of each group of a state. Rounding the shipped weights to 7, 9, 11 or 13 bits moves
# their PSNR on Set5 by less than 0.03 dB, up or down; the average soon forgets it, and the moments sooner.
BITS = {"params": 11, "average": 7, "m": 3, "v": 3}
SMALL = 1000  # arrays of fewer values are kept as they are: thresholds and gains, 2 % of a state


def keep_bits(array: Array, bits: int) -> Array:
    """Round values so that deflating finds zeros in them.

    Parameters
    ----------
    array : float32
    bits : int
        Of the mantissa's 23, at least 0 and at most 22.

    Returns
    -------
    rounded : float32
        The nearest values of so many bits; in the middle between two the one that ends in 0.
    """
    drop = 23 - bits
    words = array.view(np.uint32)
    half = ((words >> drop) & 1) + np.uint32((1 << (drop - 1)) - 1)
    return ((words + half) >> drop << drop).view(np.float32)


def round_state(state: State, bits: Mapping[str, int] = MappingProxyType(BITS)) -> State:
    """A state whose large arrays are rounded to so many bits of the mantissa, by group."""

    def rounded(group: Vector, kept: int) -> Vector:
        return Vector({name: keep_bits(a, kept) if a.size >= SMALL else a for name, a in group.items()})

    groups: dict[str, Any] = {name: rounded(getattr(state, name), kept) for name, kept in bits.items()}
    return dataclasses.replace(state, **groups)


def compact_run(run: str | PathLike[str], output: str | PathLike[str]) -> tuple[Path, State]:
    """Write the newest state of a run as a new run's folder.

    There ``train(folder, output=output, resume=True)`` goes on with it, where `folder` holds the same pictures.

    What is carried is the state alone; metrics, pictures and the best weights stay where they are. Weights and moments
    are rounded, so that the end is no longer the same bit for bit.

    Parameters
    ----------
    run : path
        It may be under way.
    output : path
        A folder without a run; made if missing.

    Returns
    -------
    path : path
        The file in it: an ordinary checkpoint.
    state : State
        What it holds.

    Raises
    ------
    UsageError, DataError, WeightsError
        If there is no run, it cannot be read, or `output` holds one already or cannot be written.
    """
    state, config, origin = load_newest(Path(run))
    small, path = round_state(state), Path(output) / CHECKPOINTS[0]
    with own_folder(Path(output), begun=False):
        # where the pictures lie here says nothing elsewhere; that they are the same is seen by their digest
        save_checkpoint(path, small, config, dataclasses.replace(origin, folder=None), compress=True)
    return path, small
