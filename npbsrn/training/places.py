"""Places in pictures that have something to teach: those where bicubic enlargement errs most."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.images.resize import resize
from npbsrn.training.cache import Decoded, store

Array = np.ndarray[Any, Any]
Rng = np.random.Generator

CELL = 4  # windows begin at every fourth row and column; the places up to the next one are judged with them
STEPS = 256  # parts of a level of 8 bits, in which errors are counted: 16 bits hold them


def window_errors(lr: Array, hr: Array, scale: int, side: int) -> Array:
    """Mean absolute error of bicubic enlargement in windows of a picture.

    Parameters
    ----------
    lr : (h, w, 3) uint8
    hr : (h * scale, w * scale, 3) uint8
    scale : int
    side : int
        Of a window, in LR pixels, at most h and w.

    Returns
    -------
    errors : (rows, columns) uint16
        Of the windows whose first pixel is (`CELL` * row, `CELL` * column), in parts of a level, rounded down. They are
        sums of whole numbers, so that every CPU chooses the same places.
    """
    wrong = np.abs(resize(lr, scale).astype(np.int16) - hr).sum(axis=2, dtype=np.int64)
    sums = np.zeros((wrong.shape[0] + 1, wrong.shape[1] + 1), np.int64)  # of all pixels above and to the left
    sums[1:, 1:] = wrong.cumsum(0).cumsum(1)
    tops, lefts = (np.arange(0, extent - side + 1, CELL) * scale for extent in lr.shape[:2])
    ends, rights = tops + side * scale, lefts + side * scale
    total = sums[ends][:, rights] - sums[tops][:, rights] - sums[ends][:, lefts] + sums[tops][:, lefts]
    return (total * STEPS // (3 * (side * scale) ** 2)).astype(np.uint16)


def cached_errors(lr: Decoded, hr: Decoded, scale: int, side: int) -> Path:
    """`window_errors` of a decoded picture: the file beside it that holds them, written where it is missing or damaged.

    Raises
    ------
    DataError
        If the cache cannot be read or written.
    """
    path = lr.path.with_name(lr.path.name.replace("-lr.npy", f"-errors-{side}.npy"))
    shape = tuple((extent - side) // CELL + 1 for extent in (lr.height, lr.width))
    try:
        errors = np.load(path, mmap_mode="r")
        if (errors.dtype, errors.shape) == (np.uint16, shape):
            return path
    except (OSError, ValueError, EOFError):
        pass
    store(path, window_errors(lr.rows(0, lr.height), hr.rows(0, hr.height), scale, side))
    return path


def least_error(counts: Array, keep: float) -> int:
    """The largest error that at least a share `keep` of all windows reaches.

    Parameters
    ----------
    counts : (2**16,) int
        Number of windows by error.
    keep : float
        Above 0, at most 1.
    """
    reach = np.cumsum(counts[::-1])[::-1]  # how many windows err so much or more
    return int(np.flatnonzero(reach >= keep * reach[0])[-1])


class Places:
    """Draw places from the share of all windows, of all pictures together, that errs most.

    Only a bit for each window is held in memory, 1/16 of a bit for each LR pixel.

    Parameters
    ----------
    pictures : list of (lr, hr)
    scale : int
    side : int
        Of the windows, in LR pixels; no picture is smaller.
    keep : float
        The share, above 0 and at most 1; windows that err as much as the last one of it belong to it, too.
    """

    def __init__(self, pictures: Sequence[tuple[Decoded, Decoded]], scale: int, side: int, keep: float) -> None:
        self.side = side
        self.sizes = [(lr.height, lr.width) for lr, _ in pictures]
        files = [cached_errors(lr, hr, scale, side) for lr, hr in pictures]
        counts = np.zeros(2**16, np.int64)
        for path in files:
            counts += np.bincount(np.load(path).ravel(), minlength=counts.size)
        least = least_error(counts, keep)
        masks = [np.load(path) >= least for path in files]
        self.bits = [np.packbits(mask) for mask in masks]
        self.ends = np.cumsum([np.count_nonzero(mask) for mask in masks])

    def draw(self, rng: Rng, patch: int) -> tuple[int, int, int]:
        """A picture and a patch of it, uniformly from all windows: index, top and left in LR pixels.

        Within a window that is drawn, the patch may begin at each of the places up to the next window, and lie anywhere
        in it if it is smaller.
        """
        number = int(rng.integers(self.ends[-1]))
        index = int(np.searchsorted(self.ends, number, side="right"))
        number -= int(self.ends[index - 1]) if index else 0
        height, width = self.sizes[index]
        cell = int(np.flatnonzero(np.unpackbits(self.bits[index]))[number])
        row, column = divmod(cell, (width - self.side) // CELL + 1)
        top, left = (
            CELL * first + int(rng.integers(min(CELL, extent - self.side - CELL * first + 1)))
            for first, extent in ((row, height), (column, width))
        )
        room = self.side - patch + 1
        return index, top + int(rng.integers(room)), left + int(rng.integers(room))
