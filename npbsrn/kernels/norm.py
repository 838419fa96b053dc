"""Batch normalisation in training; see `npbsrn.ops.norm.batch_norm` and, for the order of sums, `moments`."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import hold, load, memory, store
from npbsrn.kernels.moments import moments_of, take_channel
from npbsrn.kernels.pack import load_part, store_part
from npbsrn.kernels.simd import LANES, splat, total

Array = np.ndarray[Any, Any]

ZERO = np.float32(0)


@kernel()
def norm_forward(
    values: Array, gain: Array, shift: Array, shape: tuple[int, int, int], low: int, high: int, mean: Array,
    variance: Array, inverse: Array, out: Array,
) -> None:  # fmt: skip
    """``gain * normal + shift`` of the channels `low` to `high`.

    Parameters
    ----------
    values : float32
        Flat (N, C, pixels).
    gain, shift : (C,) float32
    shape : (N, C, pixels)
    low, high : int
    mean, variance, inverse : (C,) float32
        Filled, see `npbsrn.kernels.moments.moments_of`.
    out : float32
        Like `values`, filled.
    """
    n, channels, pixels = shape
    row = np.empty(n * pixels, np.float32)
    wide, none = np.empty(row.size // 4 + 1, np.float64), np.empty(0, np.float32)
    for c in range(low, high):
        take_channel((values,), none, c, shape, row)
        m, variance[c], i = moments_of(row, wide)
        mean[c], inverse[c], g, b = m, i, gain[c], shift[c]
        for s in range(n):
            place, own = (s * channels + c) * pixels, row[s * pixels : (s + 1) * pixels]
            target = out[place : place + pixels]
            for v in range(pixels):
                target[v] = (own[v] - m) * i * g + b


@kernel(forceinline=True)
def take(values: Any, place: int, count: int, workspace: Any) -> Any:
    """16 values, of which `count` are there."""
    return load(values, place) if count >= LANES else load_part(values, place, count, workspace)


@kernel(forceinline=True)
def give(values: Any, place: int, count: int, vector: Any, workspace: Any) -> None:
    """The opposite of `take`."""
    if count >= LANES:
        store(values, place, vector)
    else:
        store_part(values, place, count, vector, workspace)


@kernel()
def norm_backward(
    dy: Array, values: Array, mean: Array, inverse: Array, gain: Array, shape: tuple[int, int, int], low: int,
    high: int, dvalues: Array, dgain: Array, dshift: Array,
) -> None:  # fmt: skip
    """Pull back `norm_forward`, of the channels `low` to `high`.

    With y the normalised values: ``dx = gain * inverse * (dy - mean(dy) - y mean(dy y))``.

    Parameters
    ----------
    dy, values : float32
        Flat (N, C, pixels).
    mean, inverse, gain : (C,) float32
    shape : (N, C, pixels)
    low, high : int
    dvalues : float32
        Filled.
    dgain, dshift : (C,) float32
        Filled.
    """
    n, channels, pixels = shape
    number, part = np.float32(n * pixels), np.empty(LANES, np.float32)
    d, x, out, workspace = memory(dy), memory(values), memory(dvalues), memory(part)
    for c in range(low, high):
        m, i = mean[c], inverse[c]
        ones, products = splat(ZERO), splat(ZERO)
        for s in range(n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                own = take(d, first + v, pixels - v, workspace)
                ones = ones + own
                products = products + own * ((take(x, first + v, pixels - v, workspace) - m) * i)
        dshift[c], dgain[c] = total(ones), total(products)
        one, y, factor = dshift[c] / number, dgain[c] / number, gain[c] * i
        for s in range(n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                normal = (take(x, first + v, pixels - v, workspace) - m) * i
                dx = (take(d, first + v, pixels - v, workspace) - one - normal * y) * factor
                give(out, first + v, pixels - v, dx, workspace)
    hold(part)
