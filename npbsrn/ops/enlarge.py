"""Bicubic enlargement of a batch: the base to which a network adds details."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npbsrn.images.resize import apply_along, bicubic_matrix

Array = np.ndarray[Any, Any]


def enlarge(x: Array, factor: int) -> tuple[Array, Callable[[Array], Array]]:
    """Bicubic enlargement; linear, so its backward is the transposed matrices.

    Parameters
    ----------
    x : (N, C, H, W)
    factor : int

    Returns
    -------
    y : (N, C, H * factor, W * factor)
    pull : dy -> dx
    """
    rows = bicubic_matrix(x.shape[2], x.shape[2] * factor, factor)
    columns = bicubic_matrix(x.shape[3], x.shape[3] * factor, factor)
    y = apply_along(columns, apply_along(rows, x, axis=2), axis=3)

    def pull(dy: Array) -> Array:
        return apply_along(rows.T.tocsr(), apply_along(columns.T.tocsr(), dy, axis=3), axis=2)

    return y, pull
