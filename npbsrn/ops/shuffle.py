"""Pixel shuffle."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def pixel_shuffle(x: Array, factor: int) -> tuple[Array, Callable[[Array], Array]]:
    """Turn groups of factor**2 channels into factor x factor pixels (Shi et al., CVPR 2016, eq. 4).

    ``y[n, c, h*r + i, w*r + j] = x[n, c*r*r + i*r + j, h, w]``: a permutation, whose inverse is its backward pass.

    Parameters
    ----------
    x : (N, C * factor**2, H, W)
    factor : int

    Returns
    -------
    y : (N, C, H * factor, W * factor)
    pull : dy -> dx
    """
    n, channels, h, w = x.shape
    r, c = factor, channels // factor**2
    y = x.reshape(n, c, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c, h * r, w * r)

    def pull(dy: Array) -> Array:
        return dy.reshape(n, c, h, r, w, r).transpose(0, 1, 3, 5, 2, 4).reshape(n, channels, h, w)

    return y, pull
