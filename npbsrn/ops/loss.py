"""Losses."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def l1_loss(x: Array, target: Array) -> tuple[float, Callable[[float], Array]]:
    """Mean absolute difference.

    Parameters
    ----------
    x, target : arrays of one shape

    Returns
    -------
    loss : float
    pull : dloss -> dx; 0 where x equals the target
    """
    difference = x - target
    loss = float(np.mean(np.abs(difference)))
    return loss, lambda dloss: np.sign(difference) * difference.dtype.type(dloss / difference.size)
