"""Convolution, stride 1, output as large as the input."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray[Any, Any]

COLUMN_VALUES = 1 << 23  # values of one band's column matrix: 32 MiB in float32


def conv2d(
    x: Array, w: Array, bias: Array | None = None, pad_value: float = 0.0
) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array | None]]]:
    """Two-dimensional convolution (cross-correlation, as networks have it).

    ``y[n, o, h, v] = bias[o] + sum_{c, i, j} w[o, c, i, j] * padded[n, c, h + i, v + j]``

    As a matrix product: each output pixel's window is a column of C*k*k values, and ``y = W @ columns``. Hence
    ``dW = dY @ columns^T``. And since ``x[c, h, v]`` meets ``w[o, c, i, j]`` in ``y[o, h - i + p, v - j + p]``,
    dx is again a convolution: of dy, padded with zeros, with the filters turned by 180 degrees and their input
    and output channels exchanged.

    Parameters
    ----------
    x : (N, C, H, W)
    w : (O, C, k, k), k odd
    bias : (O,), optional
    pad_value : float
        The value of the k // 2 rows and columns around the picture. It is a constant: no gradient flows to it.

    Returns
    -------
    y : (N, O, H, W)
    pull : dy -> (dx, dw, dbias); dbias is None without a bias
    """
    margin = w.shape[-1] // 2
    padded = _pad(x, margin, pad_value)
    y = _correlate(padded, w)
    if bias is not None:
        y += bias[:, None, None]

    def pull(dy: Array) -> tuple[Array, Array, Array | None]:
        turned = np.flip(w, axis=(2, 3)).transpose(1, 0, 2, 3)
        dx = _correlate(_pad(dy, margin, 0.0), turned)
        dw = np.zeros((w.shape[0], w[0].size), w.dtype)
        for rows, columns in _bands(padded, w.shape[-1]):
            dw += _flat(dy[:, :, rows]) @ columns.T
        dbias = None if bias is None else np.sum(dy, axis=(0, 2, 3))
        return dx, dw.reshape(w.shape), dbias

    return y, pull


def _correlate(padded: Array, w: Array) -> Array:
    """Valid correlation of (N, C, H+k-1, W+k-1) with (O, C, k, k), giving (N, O, H, W)."""
    outputs, _, size, _ = w.shape
    n, _, height, width = padded.shape
    y = np.empty((n, outputs, height - size + 1, width - size + 1), padded.dtype)
    kernel = w.reshape(outputs, -1)
    for rows, columns in _bands(padded, size):
        product = kernel @ columns
        y[:, :, rows] = product.reshape(outputs, n, -1, y.shape[3]).transpose(1, 0, 2, 3)
    return y


def _bands(padded: Array, size: int) -> Iterator[tuple[slice, Array]]:
    """Column matrices (C*k*k, N*rows*W) of one band of output rows after another.

    The column matrix is k*k times as large as the picture; bands keep it small.
    """
    n, channels, height, width = padded.shape
    height, width = height - size + 1, width - size + 1
    step = max(1, COLUMN_VALUES // (channels * size * size * n * width))
    for top in range(0, height, step):
        rows = slice(top, min(top + step, height))
        band = padded[:, :, rows.start : rows.stop + size - 1]
        windows = sliding_window_view(band, (size, size), axis=(2, 3))  # N C rows W k k
        yield rows, windows.transpose(1, 4, 5, 0, 2, 3).reshape(channels * size * size, -1)


def _flat(y: Array) -> Array:
    """(N, O, H, W) to (O, N*H*W), the order of the columns."""
    return y.transpose(1, 0, 2, 3).reshape(y.shape[1], -1)


def _pad(x: Array, margin: int, value: float) -> Array:
    if margin == 0:
        return x
    n, channels, height, width = x.shape
    padded = np.full((n, channels, height + 2 * margin, width + 2 * margin), value, x.dtype)
    padded[:, :, margin:-margin, margin:-margin] = x
    return padded
