"""Mean and variance of each channel of a batch, for its normalisation in training.

Sums are made in float64 in the order of `npbsrn.ops.sums.total_by_halves`, so that they are the same on every CPU. One
thread handles everything that belongs to a channel: no sum is split, so no result depends on the number of threads, and
a channel of a batch stays in the L2 cache between its passes.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.filters import EPS, total_by_halves
from npbsrn.kernels.jit import kernel, part

Array = np.ndarray[Any, Any]

ZERO, ONE = np.float32(0), np.float32(1)


@part(forceinline=True)
def _number(value: Any, mean: Any, square: bool) -> Any:
    """What is summed of a value: itself, or the square of its deviation from the mean."""
    deviation = value - mean
    return np.float64(deviation * deviation) if square else np.float64(value)


@part(forceinline=True)
def _once(row: Array, k: int, sizes: tuple[int, int, int, int], mean: Any, square: bool) -> Any:
    """Number k after one step of halving; the second half may be one shorter than the first."""
    first = _number(row[k], mean, square)
    return first + _number(row[k + sizes[1]], mean, square) if k + sizes[1] < sizes[0] else first


@part(forceinline=True)
def _twice(row: Array, k: int, sizes: tuple[int, int, int, int], mean: Any, square: bool) -> Any:
    """Number k after two steps."""
    first = _once(row, k, sizes, mean, square)
    return first + _once(row, k + sizes[2], sizes, mean, square) if k + sizes[2] < sizes[1] else first


@kernel()
def _thrice(row: Array, k: int, sizes: tuple[int, int, int, int], mean: Any, square: bool) -> Any:
    """Number k after three steps."""
    first = _twice(row, k, sizes, mean, square)
    return first + _twice(row, k + sizes[3], sizes, mean, square) if k + sizes[3] < sizes[2] else first


@part(forceinline=True)
def _mean(row: Array, mean: Any, square: bool, wide: Array) -> Any:
    """Mean of some numbers, or of the squares of their deviations, as `npbsrn.ops.sums.mean_over`.

    The first three steps of halving are one pass, in which each result is the sum of eight numbers; the few that have
    less are added by themselves.
    """
    count = len(row)
    one = (count + 1) // 2
    two = (one + 1) // 2
    three = (two + 1) // 2
    whole = max(0, min(two - three, one - two - three, count - one - two - three))
    a, b, c, d = row[:whole], row[one : one + whole], row[two : two + whole], row[two + one : two + one + whole]
    late = row[three:]
    e, f, g, h = late[:whole], late[one : one + whole], late[two : two + whole], late[two + one : two + one + whole]
    for k in range(whole):
        early = _number(a[k], mean, square) + _number(b[k], mean, square)
        early += _number(c[k], mean, square) + _number(d[k], mean, square)
        rest = _number(e[k], mean, square) + _number(f[k], mean, square)
        rest += _number(g[k], mean, square) + _number(h[k], mean, square)
        wide[k] = early + rest
    for k in range(whole, three):
        wide[k] = _thrice(row, k, (count, one, two, three), mean, square)
    return np.float32(total_by_halves(wide, three) / count)


@part(forceinline=True)
def take_channel(terms: tuple[Array, ...], weights: Array, c: int, shape: tuple[int, int, int], row: Array) -> None:
    """Channel c of all samples of ``sum_k weights[k] terms[k]``, as `npbsrn.ops.pointwise.weighted_sum` adds them.

    Parameters
    ----------
    terms : K flat arrays (N, C, pixels)
    weights : (K,)
        Or empty: there is one term, as it is.
    c : int
    shape : (N, C, pixels)
    row : (N * pixels,)
        Filled.
    """
    n, channels, pixels = shape
    for s in range(n):
        place, out = (s * channels + c) * pixels, row[s * pixels : (s + 1) * pixels]
        first = terms[0][place : place + pixels]
        if len(weights) == 0:
            for i in range(pixels):
                out[i] = first[i]
        else:
            weight = weights[0]
            for i in range(pixels):
                out[i] = first[i] * weight
        for k in range(1, len(terms)):
            term, weight = terms[k][place : place + pixels], weights[k]
            for i in range(pixels):
                out[i] += term[i] * weight


@part(forceinline=True)
def give_channel(row: Array, c: int, shape: tuple[int, int, int], out: Array) -> None:
    """The opposite of `take_channel`."""
    n, channels, pixels = shape
    for s in range(n):
        place, own = (s * channels + c) * pixels, row[s * pixels : (s + 1) * pixels]
        target = out[place : place + pixels]
        for i in range(pixels):
            target[i] = own[i]


@kernel()
def moments_of(row: Array, wide: Array) -> tuple[Any, Any, Any]:
    """Mean, variance, and ``1 / sqrt(variance + eps)`` of a channel, to the bit those of `npbsrn.ops.norm.standardize`.

    `wide` is workspace for a quarter as many float64.
    """
    mean = _mean(row, ZERO, False, wide)
    variance = _mean(row, mean, True, wide)
    return mean, variance, ONE / np.sqrt(variance + EPS)


@kernel()
def channel_moments(
    terms: tuple[Array, ...], weights: Array, shape: tuple[int, int, int], low: int, high: int, out: Array,
    mean: Array, variance: Array, inverse: Array,
) -> None:  # fmt: skip
    """Statistics of the channels `low` to `high` of ``sum_k weights[k] terms[k]``.

    Parameters
    ----------
    terms, weights, shape
        See `take_channel`.
    low, high : int
    out : float32
        Filled with the sum, flat (N, C, pixels), unless there is one term.
    mean, variance, inverse : (C,) float32
        Filled, see `moments_of`.
    """
    row = np.empty(shape[0] * shape[2], np.float32)
    wide = np.empty(row.size // 4 + 1, np.float64)
    for c in range(low, high):
        take_channel(terms, weights, c, shape, row)
        if len(terms) > 1:
            give_channel(row, c, shape, out)
        mean[c], variance[c], inverse[c] = moments_of(row, wide)
