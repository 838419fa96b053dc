"""The forward pass of an LB-block's binary part, on bits.

One call does a whole block for its share of the batch, row by row: what a convolution counts is activated, weighted
and accumulated while it is in the caches. The workers meet at a barrier where batch normalisation needs the whole
batch's statistics.
"""

import os
from typing import Any, NamedTuple

import numpy as np
from numba import types

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.popcount import count1, count3
from npbsrn.kernels.simd import LANES, atomic_add, load, magnitude, select, splat, store, to_float, total
from npbsrn.kernels.tables import WIDTH, aligned

Array = np.ndarray[Any, Any]

EPS = np.float32(1e-5)  # that of npbsrn.ops.norm, which stands above the kernels
SPINS = 2000  # some tens of microseconds
SHARES = 4  # of a batch: sums over samples are made by share, so that no result depends on the number of workers
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
MEAN = np.float32(1 / WIDTH)  # over the channels
ABS, SIGNED, NONE = 0, 1, 2  # E of eq. 9: the mean of |A|, the mean of A, or 1


class Weights(NamedTuple):
    """What a block's convolutions are made of, all three in one array.

    Parameters
    ----------
    scale : (3, 48) float32
        E(|W|) of each output channel.
    slope : (2, 48) float32
        PReLU's.
    beta : (3, 3) float32
        ``beta[n, k]``: the weight of A_k in the sum that convolution n binarizes.
    gain, shift : (3, 48) float32
        BN's.
    taps : (3,) float32
        Products in one output value: 432, 48, 48.
    residual : float32
    statistic : int
        `ABS`, `SIGNED` or `NONE`.
    """

    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array
    taps: Array
    residual: np.float32
    statistic: int


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass; everything else is computed again.

    `totals` and `counts` are in tiles: 48 channels of 16 pixels, then those of the next 16. So the pixels that are
    worked on together lie together; channel c of the 16 pixels from p on begins at ``48 p + 16 c``.

    Parameters
    ----------
    totals : (3, N, H * W * 48) float32
        What BN takes in: the accumulated activations.
    counts : (3, N, H * W * 48) uint16
        Products of -1 in each output value: a value is ``taps - 2 * count``.
    bits : (3, N, 3 * (H + 2) * (W + 2)) uint16
        The binarized activations, bit j of plane g for channel 16 g + j, set where it is -1; around the picture +1.
    mean, inverse, variance : (3, 48) float32
        The batch's statistics, ``inverse = 1 / sqrt(variance + eps)``.
    """

    totals: Array
    counts: Array
    bits: Array
    mean: Array
    inverse: Array
    variance: Array


if os.name == "posix":
    _yield = types.ExternalFunction("sched_yield", types.int32())
else:

    @kernel()
    def _yield() -> int:
        return 0


@kernel()
def wait(barrier: Array, workers: int) -> None:
    """Go on when all workers have come here.

    The others are nearly there when the machine is otherwise idle. Where it is not, the one that is waited for may
    have no processor: after a while it is offered this one.
    """
    if workers == 1:
        return
    ticket = atomic_add(barrier, 1)
    spins = 0
    while atomic_add(barrier, 0) < (ticket // workers + 1) * workers:
        spins += 1
        if spins > SPINS:
            _yield()


@kernel()
def share_start(share: int, samples: int) -> int:
    """First sample of a share."""
    return samples * share // SHARES


@kernel(forceinline=True)
def value(counts: Array, place: int, taps: float) -> Any:
    """Sums of 16 pixels' products of signs, from their counts."""
    return to_float(load(counts, place)) * np.float32(-2) + taps


@kernel(forceinline=True)
def activate(x: Array, counts: Array, k: int, place: int, pixels: int, weights: Weights, out: Array) -> Any:
    """A_k at 16 pixels into `out` (48, 16): the block's input, or PReLU of convolution k - 1; gives E(A_k)."""
    e = splat(ZERO)
    for c in range(WIDTH):
        if k == 0:
            a = load(x, c * pixels + place)
        else:
            y = value(counts, WIDTH * place + LANES * c, weights.taps[k - 1]) * weights.scale[k - 1, c]
            a = select(y > ZERO, y, y * weights.slope[k - 1, c])
        store(out, c * LANES, a)
        e = e + (magnitude(a) if weights.statistic == ABS else a)
    return splat(ONE) if weights.statistic == NONE else e * MEAN


@kernel(forceinline=True)
def _accumulate(
    x: Array, counts: Array, k: int, place: int, pixels: int, weights: Weights, a: Array, totals: Array, first: int,
    step: int,
) -> None:  # fmt: skip
    """Add ``beta[n, k] E(A_k) A_k`` to all sums that A_k is part of, eq. 9, at 16 pixels.

    A sample's sums of convolution n begin at ``totals[first + n * step]``; A_0 begins them.
    """
    e = activate(x, counts, k, place, pixels, weights, a)
    for c in range(WIDTH):
        term = load(a, c * LANES) * e
        at = first + WIDTH * place + LANES * c
        if k == 0:
            store(totals, at, term * weights.beta[0, 0])
            store(totals, at + step, term * weights.beta[1, 0])
            store(totals, at + 2 * step, term * weights.beta[2, 0])
        else:
            for n in range(k, 3):
                store(totals, at + n * step, load(totals, at + n * step) + term * weights.beta[n, k])


@kernel()
def _sample_moments(values: Array, pixels: int, moments: Array) -> None:
    """Mean and sum of squared deviations of each channel of one sample."""
    for c in range(0, WIDTH, 2):
        first, end = c * LANES, WIDTH * pixels
        sums, others = splat(ZERO), splat(ZERO)
        for at in range(first, end, WIDTH * LANES):
            sums = sums + load(values, at)
            others = others + load(values, at + LANES)
        mean, other = total(sums) / np.float32(pixels), total(others) / np.float32(pixels)
        sums, others = splat(ZERO), splat(ZERO)
        for at in range(first, end, WIDTH * LANES):
            deviation, more = load(values, at) - mean, load(values, at + LANES) - other
            sums = sums + deviation * deviation
            others = others + more * more
        moments[c, 0], moments[c, 1] = mean, total(sums)
        moments[c + 1, 0], moments[c + 1, 1] = other, total(others)


@kernel()
def _combine(moments: Array, pixels: int, mean: Array, inverse: Array, variance: Array) -> None:
    """Moments of the batch from those of its samples, in the order of the samples (Chan et al., 1983)."""
    n = moments.shape[0]
    for c in range(WIDTH):
        m = 0.0
        for s in range(n):
            m += moments[s, c, 0]
        m /= n
        v = 0.0
        for s in range(n):
            v += moments[s, c, 1] + pixels * (moments[s, c, 0] - m) ** 2
        v /= n * pixels
        mean[c], variance[c] = m, v
        inverse[c] = ONE / np.sqrt(np.float32(v) + EPS)


@kernel()
def _pack_row(
    values: Array, y: int, height: int, width: int, mean: Array, inverse: Array, gain: Array, shift: Array, bits: Array
) -> None:
    """Binarize and pack row y: bit j of plane g is set where channel 16 g + j is negative."""
    for x in range(0, width, LANES):
        for g in range(3):
            word = splat(np.uint16(0))
            for j in range(16):
                c = 16 * g + j
                normal = (load(values, WIDTH * (y * width + x) + LANES * c) - mean[c]) * inverse[c]
                negative = normal * gain[c] + shift[c] < ZERO
                word = word | select(negative, splat(np.uint16(1 << j)), splat(np.uint16(0)))
            store(bits, (g * (height + 2) + y + 1) * (width + 2) + x + 1, word)


@kernel(forceinline=True)
def _convolve(bits: Array, words: Array, size: int, y: int, left: int, height: int, width: int, counts: Array) -> None:
    """Counts of 16 pixels of row y, all channels."""
    stride = width + 2
    plane = (height + 2) * stride
    if size == 3:
        count3(bits, y * stride + left, stride, plane, words, counts, WIDTH * (y * width + left), LANES)
    else:
        place = (y + 1) * stride + left + 1
        count1(bits, place, stride, plane, words, counts, WIDTH * (y * width + left), LANES)


@kernel(forceinline=True)
def _add_output(x: Array, counts: Array, place: int, pixels: int, weights: Weights, out: Array) -> None:
    """``x + residual * scale * C_3`` at 16 pixels."""
    for c in range(WIDTH):
        at = c * pixels + place
        factor = weights.scale[2, c] * weights.residual
        products = value(counts, WIDTH * place + LANES * c, weights.taps[2])
        store(out, at, load(x, at) + products * factor)


@kernel()
def block_forward(
    worker: int, workers: int, barrier: Array, x: Array, out: Array, words: Array, weights: Weights, saved: Saved,
    moments: Array, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's share of a block.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.threads.run_parallel`.
    x, out : (N, 48, H * W) float32
        Input and output; W a multiple of 16.
    words : (3, 48 * 27) uint16
        Bits of the three convolutions' filters: output channel, plane, row, column; 1 for -1.
    weights : Weights
    saved : Saved
        Filled here.
    moments : (3, N, 48, 2) float32
        Room for each sample's statistics.
    height, width : int
    """
    n, _, pixels = x.shape
    a = aligned(WIDTH * LANES)
    mean, inverse, variance = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
    first = share_start(SHARES * worker // workers, n)
    last = share_start(SHARES * (worker + 1) // workers, n)
    size = WIDTH * pixels
    step = n * size  # from one convolution's totals to the next one's
    totals = saved.totals.ravel()
    for s in range(first, last):
        for place in range(0, pixels, LANES):
            _accumulate(x[s], saved.counts[0, s], 0, place, pixels, weights, a, totals, s * size, step)
        _sample_moments(saved.totals[0, s], pixels, moments[0, s])
    for conv in range(3):
        wait(barrier, workers)
        _combine(moments[conv], pixels, mean, inverse, variance)
        if worker == 0:
            saved.mean[conv], saved.inverse[conv], saved.variance[conv] = mean, inverse, variance
        extent, gain, shift = 3 if conv == 0 else 1, weights.gain[conv], weights.shift[conv]
        for s in range(first, last):
            bits, counts = saved.bits[conv, s], saved.counts[conv, s]
            for y in range(height):
                _pack_row(saved.totals[conv, s], y, height, width, mean, inverse, gain, shift, bits)
            for y in range(height):
                for left in range(0, width, LANES):
                    place = y * width + left
                    _convolve(bits, words[conv], extent, y, left, height, width, counts)
                    if conv < 2:
                        _accumulate(x[s], counts, conv + 1, place, pixels, weights, a, totals, s * size, step)
                    else:
                        _add_output(x[s], counts, place, pixels, weights, out[s])
            if conv < 2:
                _sample_moments(saved.totals[conv + 1, s], pixels, moments[conv + 1, s])
