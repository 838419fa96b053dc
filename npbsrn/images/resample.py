"""Resizing to any number of pixels, of samples of any kind, in bands of rows."""

import math
from typing import Any

import numpy as np

from npbsrn.images.resize import apply_along, bicubic_matrix
from npbsrn.images.samples import BAND, to_fractions, to_samples
from npbsrn.runtime.threads import map_parallel

Array = np.ndarray[Any, Any]


def enlarged_side(side: int, scale: float) -> int:
    """Pixels of an enlarged side: ``side * scale``, rounded halves up, and at least 1."""
    return max(1, math.floor(round(side * scale, 9) + 0.5))  # 1.1 * 5 must give 6, though it is 5.500000000000001 or so


def resize_to(picture: Array, height: int, width: int, threads: int | None = None, dtype: Any = None) -> Array:
    """Resize by antialiased bicubic interpolation, edge to edge.

    Parameters
    ----------
    picture : (H, W) or (H, W, C), uint8, uint16, or float32 in [0, 1]
    height, width : int
        Of the result. Each axis has its own factor, ``height / H`` and ``width / W``; see
        `npbsrn.images.resize.bicubic_matrix`.
    threads : int, optional
        By default `npbsrn.runtime.threads.thread_count()`. It does not affect the result.
    dtype : dtype, optional
        Of the result, by default that of `picture`.

    Returns
    -------
    resized : (height, width) or (height, width, C)
        Clipped to the range of its dtype; whole numbers are rounded once, at the end, halves up.
    """
    down = bicubic_matrix(len(picture), height, height / len(picture))
    across = bicubic_matrix(picture.shape[1], width, width / picture.shape[1])
    result = np.empty((height, width, *picture.shape[2:]), picture.dtype if dtype is None else dtype)

    def fill(top: int) -> None:
        rows = down[top : top + BAND]
        first, last = int(rows.indices.min()), int(rows.indices.max()) + 1
        band = apply_along(rows[:, first:last], to_fractions(picture[first:last]), 0)
        result[top : top + BAND] = to_samples(apply_along(across, band, 1), result.dtype)

    map_parallel(fill, range(0, height, BAND), threads)
    return result
