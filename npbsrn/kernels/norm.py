"""Batch normalisation in training; see `npbsrn.ops.norm.batch_norm` and, for the order of sums, `moments`."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import ask, ask_to_write, hold, load, memory, store
from npbsrn.kernels.moments import moments_of, take_channel
from npbsrn.kernels.pack import load_part, store_part
from npbsrn.kernels.simd import LANES, select, splat, total

Array = np.ndarray[Any, Any]

ZERO, ONE = np.float32(0), np.float32(1)
ALL, SUMS, VALUES = 0, 1, 2  # what `norm_backward` fills


@kernel()
def norm_forward(
    values: Array, gain: Array, shift: Array, slope: Array, shape: tuple[int, int, int], low: int, high: int,
    given: bool, mean: Array, variance: Array, inverse: Array, out: Array,
) -> None:  # fmt: skip
    """``gain * normal + shift`` of the channels `low` to `high`, then PReLU if there are slopes.

    Parameters
    ----------
    values : float32
        Flat (N, C, pixels).
    gain, shift, slope : (C,) float32
        The slope may be empty.
    shape : (N, C, pixels)
    low, high : int
    given : bool
        Whether the statistics are given; otherwise they are those of the values.
    mean, variance, inverse : (C,) float32
        Filled unless `given`, see `npbsrn.kernels.moments.moments_of`.
    out : float32
        Like `values`, filled.
    """
    n, channels, pixels = shape
    row = np.empty(n * pixels, np.float32)
    wide, none = np.empty(row.size // 4 + 1, np.float64), np.empty(0, np.float32)
    for c in range(low, high):
        take_channel((values,), none, c, shape, row)
        if not given:
            mean[c], variance[c], inverse[c] = moments_of(row, wide)
        m, i, g, b = mean[c], inverse[c], gain[c], shift[c]
        a = slope[c] if len(slope) > 0 else ONE
        for s in range(n):
            place, own = (s * channels + c) * pixels, row[s * pixels : (s + 1) * pixels]
            target = out[place : place + pixels]
            for v in range(pixels):
                z = (own[v] - m) * i * g + b
                target[v] = z if z > ZERO else z * a


@part(forceinline=True)
def take(values: Any, place: int, count: int, workspace: Any) -> Any:
    """16 values, of which `count` are there."""
    return load(values, place) if count >= LANES else load_part(values, place, count, workspace)


@part(forceinline=True)
def give(values: Any, place: int, count: int, vector: Any, workspace: Any) -> None:
    """The opposite of `take`."""
    if count >= LANES:
        store(values, place, vector)
    else:
        store_part(values, place, count, vector, workspace)


@kernel()
def norm_backward(
    dy: Array, values: Array, mean: Array, inverse: Array, gain: Array, shift: Array, slope: Array,
    shape: tuple[int, int, int], low: int, high: int, task: int, count: int, dvalues: Array, dgain: Array,
    dshift: Array, dslope: Array,
) -> None:  # fmt: skip
    """Pull back `norm_forward`, of the channels `low` to `high`.

    With y the normalised values and d the cotangent in front of PReLU: ``dx = gain * inverse * (d - mean(d) - y
    mean(d y))``. PReLU's part is computed twice, which is less than to write it down.

    Parameters
    ----------
    dy, values : float32
        Flat (N, C, pixels).
    mean, inverse, gain, shift, slope : (C,) float32
        The slope may be empty.
    shape : (N, C, pixels)
    low, high : int
    task : int
        `ALL`, `SUMS`: `dvalues` is left alone, or `VALUES`: the sums are given, those of a batch of which the values
        are a shard.
    count : int
        Values of a channel in the batch.
    dvalues : float32
        Filled.
    dgain, dshift, dslope : (C,) float32
        Filled, the sums.
    """
    n, channels, pixels = shape
    number, part = np.float32(count), np.empty(LANES, np.float32)
    d, x, out, workspace = memory(dy), memory(values), memory(dvalues), memory(part)
    ahead = channels * pixels  # this channel of the next sample is asked for
    for c in range(low, high):
        m, i, g, b = mean[c], inverse[c], gain[c], shift[c]
        a = slope[c] if len(slope) > 0 else ONE
        ones, products, due = splat(ZERO), splat(ZERO), splat(ZERO)
        for s in range(0 if task == VALUES else n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                ask(d, first + v + ahead)
                ask(x, first + v + ahead)
                own = take(d, first + v, pixels - v, workspace)
                normal = (take(x, first + v, pixels - v, workspace) - m) * i
                z = normal * g + b
                due = due + select(z > ZERO, splat(ZERO), z * own)
                own = select(z > ZERO, own, own * a)
                ones = ones + own
                products = products + own * normal
        if task != VALUES:
            dshift[c], dgain[c], dslope[c] = total(ones), total(products), total(due)
        if task == SUMS:
            continue
        one, y, factor = dshift[c] / number, dgain[c] / number, g * i
        for s in range(n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                normal = (take(x, first + v, pixels - v, workspace) - m) * i
                own = take(d, first + v, pixels - v, workspace)
                own = select(normal * g + b > ZERO, own, own * a)
                ask_to_write(out, first + v + ahead)
                give(out, first + v, pixels - v, (own - one - normal * y) * factor, workspace)
    hold(part)
