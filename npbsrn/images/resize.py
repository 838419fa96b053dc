"""Antialiased bicubic resizing, as in MATLAB's ``imresize``.

Every super-resolution benchmark makes its low-resolution pictures this way. Pillow's bicubic filter differs at the
borders (it renormalises where MATLAB mirrors), so npbsrn has its own.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from npbsrn.errors import UsageError

if TYPE_CHECKING:
    import scipy.sparse

Array = np.ndarray[Any, Any]


def cubic(x: Array) -> Array:
    """Cubic convolution kernel with a = -0.5 (Keys, 1981)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=64)
def bicubic_matrix(size: int, new_size: int, scale: float) -> "scipy.sparse.csr_array":
    """Matrix that resizes one axis; see `bicubic_weights`.

    Returns
    -------
    matrix : (new_size, size) sparse float64
        Its rows sum to one.
    """
    import scipy.sparse  # which takes a tenth of a second, and enlarging by a packed network needs none

    weight, column = bicubic_weights(size, new_size, scale)
    row = np.broadcast_to(np.arange(new_size)[:, None], column.shape)
    entries = (weight.ravel(), (row.ravel(), column.ravel()))
    return scipy.sparse.csr_array(entries, shape=(new_size, size))  # repeated entries add up


def bicubic_weights(size: int, new_size: int, scale: float) -> tuple[Array, Array]:
    """Which pixels of an axis each new pixel is a sum of, and with which weights.

    Output pixel ``i`` has its centre at ``u = (i + 0.5) / scale - 0.5`` in input pixels. When shrinking, the
    kernel is stretched by ``1 / scale`` (antialiasing). Beyond the border the picture is mirrored.

    Parameters
    ----------
    size, new_size : int
        Extents of the axis before and after, in pixels.
    scale : float
        ``new_size / size`` before any rounding of `new_size`.

    Returns
    -------
    weight : (new_size, T) float64
        Its rows sum to one.
    column : (new_size, T) int64
        Near a border a pixel occurs more than once.
    """
    stretch = min(scale, 1.0)
    taps = int(np.ceil(4 / stretch)) + 2
    centre = (np.arange(new_size) + 0.5) / scale - 0.5
    first = np.floor(centre - 2 / stretch).astype(np.int64)
    source = first[:, None] + np.arange(taps)
    weight = cubic((centre[:, None] - source) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(size), np.arange(size)[::-1]])
    return weight, mirrored[source % (2 * size)]


def apply_along(matrix: "scipy.sparse.csr_array", x: Array, axis: int) -> Array:
    """Multiply one axis of `x` by a sparse matrix; the dtype of `x` is kept."""
    moved = np.moveaxis(x, axis, 0)
    flat = matrix.astype(x.dtype) @ np.ascontiguousarray(moved).reshape(moved.shape[0], -1)
    return np.moveaxis(flat.reshape(-1, *moved.shape[1:]), 0, axis)


def resize(picture: Array, scale: float) -> Array:
    """Resize a picture by antialiased bicubic interpolation.

    Parameters
    ----------
    picture : (H, W) or (H, W, C), uint8 or floating
    scale : float
        Factor for both axes; above 1 enlarges. The new extents are ``ceil(H * scale)``, ``ceil(W * scale)``.

    Returns
    -------
    resized : same dtype
        uint8 results are rounded after each axis, rows (axis 0) first, as MATLAB does it; float results are not
        clipped, so they can overshoot the input's range.

    Raises
    ------
    UsageError
        If `scale` is not positive, or the dtype is neither uint8 nor floating.

    References
    ----------
    R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP, 1981.
    """
    if not scale > 0:
        raise UsageError(f"the scale of a resize must be positive, not {scale}")
    eight_bits = picture.dtype == np.uint8
    if not eight_bits and not np.issubdtype(picture.dtype, np.floating):
        raise UsageError(f"resize takes uint8 or floating pictures, not {picture.dtype}")
    result = picture
    for axis in (0, 1):
        size = picture.shape[axis]
        new_size = int(np.ceil(round(size * scale, 9)))  # 1/3 * 9 must give 3, not 4
        values = result.astype(np.float64) if eight_bits else result.astype(np.result_type(result, np.float32))
        result = apply_along(bicubic_matrix(size, new_size, scale), values, axis)
        if eight_bits:
            result = to_uint8(result)
    return np.ascontiguousarray(result.astype(picture.dtype, copy=False))


def to_uint8(x: Array) -> Array:
    """Round to the nearest integer, halves up, and clip to 0..255 (MATLAB's ``uint8``)."""
    return np.clip(np.floor(x + 0.5), 0, 255).astype(np.uint8)
