"""Batch normalisation, of activations and of filters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npbsrn.ops.sums import mean_over

Array = np.ndarray[Any, Any]

EPS = 1e-5
MOMENTUM = 0.1  # share of the newest batch in the running averages


def standardize(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array, Callable[[Array], Array]]:
    """Shift and scale to zero mean and unit variance over `axes`.

    ``y = (x - m) / s`` with ``s = sqrt(var + eps)``. Both m and s depend on every x, so with means over `axes`
    ``dx = (dy - mean(dy) - y * mean(dy * y)) / s``:
    the cotangent loses its part along the constant (through m) and along y (through s).

    Parameters
    ----------
    x : array
    axes : tuple of int
        (0, 2, 3) for activations (N, C, H, W); (1, 2, 3) for filters (O, I, kh, kw).

    Returns
    -------
    y : like x
    mean, variance : like x with extents 1 at `axes`; the variance is the biased one
    pull : dy -> dx

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015; Appendix of the same for the backward pass.
    """
    mean = mean_over(x, axes)
    centred = x - mean
    variance = mean_over(centred * centred, axes)
    inverse = 1 / np.sqrt(variance + EPS)
    y = centred * inverse

    def pull(dy: Array) -> Array:
        along_one = np.mean(dy, axis=axes, keepdims=True)
        along_y = np.mean(dy * y, axis=axes, keepdims=True)
        return (dy - along_one - y * along_y) * inverse

    return y, mean, variance, pull


def affine(x: Array, gain: Array, shift: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """One gain and one shift per channel: ``y = gain * x + shift``.

    Parameters
    ----------
    x : (N, C, H, W)
    gain, shift : (C,)

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dgain, dshift)
    """
    y = x * gain[:, None, None] + shift[:, None, None]

    def pull(dy: Array) -> tuple[Array, Array, Array]:
        return dy * gain[:, None, None], np.sum(dy * x, axis=(0, 2, 3)), np.sum(dy, axis=(0, 2, 3))

    return y, pull


def move_running(running: tuple[Array, Array], mean: Array, variance: Array, count: int) -> None:
    """Move running averages towards a batch's mean and sample variance by `MOMENTUM`, in place.

    Parameters
    ----------
    running : (mean, variance), each (C,)
    mean, variance : (C,)
        Of the batch; the variance is the biased one.
    count : int
        Values of each channel in the batch.
    """
    running_mean, running_variance = running
    running_mean += MOMENTUM * (mean - running_mean)
    running_variance += MOMENTUM * (variance * (count / max(count - 1, 1)) - running_variance)


def batch_norm(
    x: Array, gain: Array, shift: Array, running: tuple[Array, Array], train: bool
) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """Batch normalisation over (N, H, W) with a learned gain and shift per channel.

    Parameters
    ----------
    x : (N, C, H, W)
    gain, shift : (C,)
    running : (mean, variance), each (C,)
        Running averages. In training they are moved towards the batch's by `MOMENTUM`, in place: the one side effect
        of any operation, on arrays that no pullback holds. Otherwise they take the place of the batch's statistics.
    train : bool

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dgain, dshift)
    """
    if train:
        normal, mean, variance, pull_normal = standardize(x, (0, 2, 3))
        move_running(running, mean.ravel(), variance.ravel(), x.size // x.shape[1])
    else:
        running_mean, running_variance = running
        inverse = 1 / np.sqrt(running_variance + EPS)
        normal, pull_fixed = affine(x, inverse, -running_mean * inverse)

        def pull_normal(dy: Array) -> Array:
            return pull_fixed(dy)[0]

    y, pull_affine = affine(normal, gain, shift)

    def pull(dy: Array) -> tuple[Array, Array, Array]:
        dnormal, dgain, dshift = pull_affine(dy)
        return pull_normal(dnormal), dgain, dshift

    return y, pull
