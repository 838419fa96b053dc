"""Convolution with stride 1; the output is as large as the input."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]

Band = tuple[slice, slice, slice]
COLUMN_VALUES = 1 << 21  # of one band's column matrix: 8 MiB in float32


ConvPull = Callable[..., tuple[Array, Array, Array | None]]


def conv2d_ref(x: Array, w: Array, bias: Array | None = None, pad_value: float = 0.0) -> tuple[Array, ConvPull]:
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
    pull : (dy, inner=True) -> (dx, dw, dbias)
        dbias is None without a bias; dx is empty where it is not asked for, `inner` being False.
    """
    margin = w.shape[-1] // 2
    padded = _pad(x, margin, pad_value)
    y = _correlate(padded, w)
    if bias is not None:
        y += bias[:, None, None]

    def pull(dy: Array, inner: bool = True) -> tuple[Array, Array, Array | None]:
        dx = _correlate(_pad(dy, margin, 0.0), _turned(w)) if inner else np.empty(0, dy.dtype)

        def part(band: Band) -> Array:
            return _flat(dy[band]) @ _columns(padded, w.shape[-1], band).T

        products = map_parallel(part, _bands(padded, w.shape[-1]))
        dw = sum(products[1:], start=products[0])  # in the order of the bands, whichever thread was first
        dbias = None if bias is None else np.sum(dy, axis=(0, 2, 3))
        return dx, dw.reshape(w.shape), dbias

    return y, pull


def conv2d(x: Array, w: Array, bias: Array | None = None, pad_value: float = 0.0) -> tuple[Array, ConvPull]:
    """Two-dimensional convolution: `conv2d_ref`, except for float32 filters of 3x3 and larger.

    These are compiled: each vector of 16 output pixels stays in registers while the kernel loops over all inputs, so no
    column matrix is needed, which would be k*k times as large as the picture. The algebra of the backward pass is the
    same. No result depends on the number of threads.

    With few outputs, the two factors of dW exchange their roles, so that the vectors of 16 hold inputs. As ``w[o, c, i,
    j]`` takes in x at ``(i - p, j - p)`` from where y is, dW is also the correlation of dy, padded with zeros, by x, at
    the turned place ``(2 p - i, 2 p - j)``. What is around x counts as zero there.
    """
    size = w.shape[-1]
    if size == 1 or any(array.dtype != np.float32 for array in (x, w)):
        return conv2d_ref(x, w, bias, pad_value)
    padded = _pad(x, size // 2, pad_value, LANES)
    y = _direct(padded, w, x.shape[3], bias)
    outputs, channels = w.shape[:2]
    few = outputs <= FEW and outputs < channels and pad_value == 0

    def pull(dy: Array, inner: bool = True) -> tuple[Array, Array, Array | None]:
        around = _pad(dy, size // 2, 0.0, LANES) if inner or few else dy
        dx = _direct(around, _turned(w), x.shape[3]) if inner else np.empty(0, dy.dtype)
        dw = _turned(_filter_sums(around, x, size)) if few else _filter_sums(padded, dy, size)
        return dx, dw, None if bias is None else np.sum(dy, axis=(0, 2, 3))

    return y, pull


LANES = 16  # pixels, or channels, of a vector
FEW = 8  # outputs of which a vector would have too many lanes
BANDS = 8  # of a picture


def _turned(w: Array) -> Array:
    """Filters by 180 degrees, their input and output channels exchanged."""
    return np.flip(w, axis=(2, 3)).transpose(1, 0, 2, 3)


def _direct(padded: Array, w: Array, width: int, bias: Array | None = None) -> Array:
    """Valid correlation by the compiled kernel, cut to `width`; `padded` is wide enough for whole vectors."""
    from npbsrn.kernels import direct_conv

    outputs, _, size, _ = w.shape
    n, _, full, line = padded.shape
    height, filters = full - size + 1, direct_conv.blocked(w)
    y = empty((n, direct_conv.computed(*w.shape[:2]), height, line - size + 1), padded.dtype)
    rows = height if n >= SHARDS else max(4, -(-height // BANDS) // 4 * 4)  # some rows are done together, 4 at most
    samples = -(-n // SHARDS)
    cut = empty((n, outputs, height, width), padded.dtype)

    def part(band: tuple[int, int]) -> None:
        first, top = band
        these, end = slice(first, first + samples), min(top + rows, height)
        direct_conv.correlate(padded[these], filters, y[these], size, top, end)
        own, target = y[these, :outputs, top:end, :width], cut[these, :, top:end]
        if bias is None:
            target[...] = own
        else:
            np.add(own, bias[:, None, None], out=target)

    map_parallel(part, [(first, top) for first in range(0, n, samples) for top in range(0, height, rows)])
    return cut


def _filter_sums(padded: Array, dy: Array, size: int) -> Array:
    """``dw[o, c, i, j] = sum_n,h,v dy[n, o, h, v] * padded[n, c, h + i, v + j]`` by the compiled kernel."""
    from npbsrn.kernels import direct_conv

    (n, outputs, height, width), channels = dy.shape, padded.shape[1]
    groups = -(-outputs // LANES)

    def part(samples: slice) -> Array:
        by_groups = np.zeros((samples.stop - samples.start, groups, height, width, LANES), dy.dtype)
        for o in range(outputs):
            by_groups[:, o // LANES, :, :, o % LANES] = dy[samples, o]
        dw = np.zeros((channels, size, size, groups * LANES), dy.dtype)
        direct_conv.filters(padded[samples], by_groups, dw)
        return dw

    shards = -(-n // SHARDS)
    parts = map_parallel(part, [slice(first, min(first + shards, n)) for first in range(0, n, shards)])
    return sum(parts[1:], start=parts[0])[..., :outputs].transpose(3, 0, 1, 2)


def _correlate(padded: Array, w: Array) -> Array:
    """Valid correlation of (N, C, H+k-1, W+k-1) with (O, C, k, k), giving (N, O, H, W)."""
    outputs, _, size, _ = w.shape
    n, _, height, width = padded.shape
    y = np.empty((n, outputs, height - size + 1, width - size + 1), padded.dtype)
    kernel = w.reshape(outputs, -1)

    def part(band: Band) -> None:
        target = y[band]
        product = kernel @ _columns(padded, size, band)
        target[...] = product.reshape(outputs, len(target), -1, y.shape[3]).transpose(1, 0, 2, 3)

    map_parallel(part, _bands(padded, size))
    return y


def _bands(padded: Array, size: int) -> list[Band]:
    """Parts of the output, (samples, all channels, rows), whose column matrices are not too large.

    The column matrix is k*k times as large as the picture. A batch has at least four parts, for as many threads.
    """
    n, channels, height, width = padded.shape
    height, width = height - size + 1, width - size + 1
    shards = min(n, SHARDS)
    samples = -(-n // shards)
    rows = max(1, min(height, COLUMN_VALUES // (channels * size * size * samples * width)))
    return [
        (slice(first, first + samples), slice(None), slice(top, top + rows))
        for first in range(0, n, samples)
        for top in range(0, height, rows)
    ]


def _columns(padded: Array, size: int, band: Band) -> Array:
    """Column matrix (C*k*k, N*rows*W) of one part of the output."""
    samples, _, rows = band
    part = padded[samples, :, rows.start : rows.stop + size - 1]
    windows = sliding_window_view(part, (size, size), axis=(2, 3))  # N C rows W k k
    return windows.transpose(1, 4, 5, 0, 2, 3).reshape(part.shape[1] * size * size, -1)


def _flat(y: Array) -> Array:
    """(N, O, H, W) to (O, N*H*W), the order of the columns."""
    return y.transpose(1, 0, 2, 3).reshape(y.shape[1], -1)


def _pad(x: Array, margin: int, value: float, multiple: int = 1) -> Array:
    """`x` with a margin around it; its own width filled up to a multiple."""
    n, channels, height, width = x.shape
    filled = -(-width // multiple) * multiple
    if margin == 0 and filled == width:
        return x
    padded = empty((n, channels, height + 2 * margin, filled + 2 * margin), x.dtype)

    def part(samples: tuple[int, int]) -> None:
        own = slice(*samples)
        padded[own] = value
        padded[own, :, margin : margin + height, margin : margin + width] = x[own]

    map_parallel(part, parts_of(n, SHARDS))
    return padded
