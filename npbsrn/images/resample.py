"""Resizing to any number of pixels, of samples of any kind, in bands of rows."""

import math
from typing import Any

import numpy as np

from npbsrn.images.resize import apply_along, bicubic_matrix
from npbsrn.images.samples import BAND, to_fractions, to_samples
from npbsrn.images.tiles import Span
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
    return resize_rows(picture, (len(picture), height), width, (0, height), 0, threads, dtype)


def resize_rows(
    window: Array,
    heights: tuple[int, int],
    width: int,
    rows: Span,
    top: int,
    threads: int | None = None,
    dtype: Any = None,
) -> Array:
    """Some rows of what `resize_to` makes of a picture, from those of the picture that they depend on.

    Parameters
    ----------
    window : (rows, W) or (rows, W, C)
        Rows of the picture, at least those of `rows_for`.
    heights : (int, int)
        Of the picture, and of the whole result.
    width : int
        Of the result.
    rows : (from, to)
        Of the result.
    top : int
        Which row of the picture the first one of `window` is.
    threads, dtype
        As for `resize_to`.
    """
    begin, end = rows
    down = _matrix_of_rows(heights)
    across = bicubic_matrix(window.shape[1], width, width / window.shape[1])
    result = np.empty((end - begin, width, *window.shape[2:]), window.dtype if dtype is None else dtype)

    def fill(upper: int) -> None:
        lower = min(upper + BAND, end)
        first, last = rows_for(heights, (upper, lower))
        band = apply_along(down[upper:lower, first:last], to_fractions(window[first - top : last - top]), 0)
        result[upper - begin : lower - begin] = to_samples(apply_along(across, band, 1), result.dtype)

    map_parallel(fill, range(begin, end, BAND), threads)
    return result


def rows_for(heights: tuple[int, int], rows: Span) -> Span:
    """On which rows of a picture rows of a result depend; heights are those of both."""
    indices = _matrix_of_rows(heights)[slice(*rows)].indices
    return int(indices.min()), int(indices.max()) + 1


def _matrix_of_rows(heights: tuple[int, int]) -> Any:
    return bicubic_matrix(*heights, heights[1] / heights[0])
