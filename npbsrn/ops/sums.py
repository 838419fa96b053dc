"""Sums in a specified order, so that neither the CPU nor the version of NumPy changes a bit of them.

The last bit of a mean may decide the sign of a value compared with it, and one sign changes part of a picture.
"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def total_by_halves(x: Array) -> Array:
    """Sum over the last axis in float64: the second half is added to the first until one value is left.

    Of an odd number the first half has one more. What is added is added element by element, which has no order.

    Parameters
    ----------
    x : (..., n) floating, n at least 1

    Returns
    -------
    total : (...) float64
    """
    values = x.astype(np.float64)
    while values.shape[-1] > 1:
        half = (values.shape[-1] + 1) // 2
        first, second = values[..., :half], values[..., half:]
        first[..., : second.shape[-1]] += second
        values = first
    total: Array = values[..., 0]
    return total


def mean_over(x: Array, axes: tuple[int, ...]) -> Array:
    """Mean over some axes, which stay with extents of 1: by `total_by_halves`, rounded once to the dtype of `x`.

    Parameters
    ----------
    x : array
    axes : tuple of int
    """
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = x.transpose(*kept, *axes).reshape(*(x.shape[axis] for axis in kept), -1)
    mean = total_by_halves(rows) / rows.shape[-1]
    return np.expand_dims(mean.astype(x.dtype), axes)
