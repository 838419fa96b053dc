"""The sign, and the straight-through estimators (STEs) of its gradient.

The derivative of the sign is zero almost everywhere, so no gradient would pass through it. An STE multiplies the
cotangent by the derivative of a smoother function instead.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sign(x: Array) -> Array:
    """Sign with sign(0) = +1 (eq. 4 of the paper), -0.0 included; +-1 in the dtype of `x`."""
    one = x.dtype.type(1)
    return (x >= 0) * (one + one) - one


def ste_identity(x: Array, dy: Array) -> Array:
    """dx = dy: the gradient passes unchanged (eq. 8 of the paper; Bengio et al., arXiv 1308.3432)."""
    return dy


def ste_clip(x: Array, dy: Array) -> Array:
    """dx = dy where |x| <= 1: the derivative of the hard tanh (Hubara et al., NeurIPS 2016, eq. 4)."""
    return dy * (np.abs(x) <= 1)


def ste_bireal(x: Array, dy: Array) -> Array:
    """dx = dy * (2 - 2 |x|) where |x| < 1: the derivative of a piecewise quadratic (Liu et al., ECCV 2018, eq. 6)."""
    return dy * np.maximum(2 - 2 * np.abs(x), 0)


def ste_window(x: Array, dy: Array) -> Array:
    """dx = dy where |x| <= 1/2: the derivative of clip(x + 1/2, 0, 1) (Zhou et al., arXiv 1606.06160, eq. 6)."""
    return dy * (np.abs(x) <= 0.5)


def ste_steep(x: Array, dy: Array) -> Array:
    """dx = 2 dy where |x| <= 1/2: the derivative of 2 clip(x + 1/2, 0, 1) - 1, which goes from -1 to +1."""
    return ste_window(x, dy + dy)


# (forward, stand-in gradient) by name
STES: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "identity": (sign, ste_identity),
    "clip": (sign, ste_clip),
    "bireal": (sign, ste_bireal),
    "window": (sign, ste_window),
    "steep": (sign, ste_steep),
}


def binarize(x: Array, ste: str) -> tuple[Array, Callable[[Array], Array]]:
    """Sign of x forward, the stand-in gradient named `ste` backward.

    Parameters
    ----------
    x : array of any shape
    ste : str
        A key of `STES`.

    Returns
    -------
    y : +-1, shape and dtype of x
    pull : dy -> dx
    """
    forward, backward = STES[ste]
    return forward(x), lambda dy: backward(x, dy)
