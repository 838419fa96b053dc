"""The forward pass of an LB-block's binary part, on bits.

One call does a whole block for its share of the batch: what is read and written in one pass over memory stays in the
caches. The workers meet at a barrier where batch normalisation needs the whole batch's statistics.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.jit import SUMS, kernel
from npbsrn.kernels.vector import WIDTH, atomic_add, count1, count3

Array = np.ndarray[Any, Any]

EPS = np.float32(1e-5)  # that of npbsrn.ops.norm, which stands above the kernels
SHARES = 4  # of a batch: sums over samples are made by share, so that no result depends on the number of workers


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
    taps : (3,) int32
        Products in one output value: 432, 48, 48.
    residual : float32
    """

    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array
    taps: Array
    residual: np.float32


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass; everything else is computed again.

    Parameters
    ----------
    totals : (3, N, 48, H * W) float32
        What BN takes in: the accumulated activations.
    counts : (3, N, 48, H * W) uint16
        Products of -1 in each output value: a value is ``taps - 2 * count``.
    bits : (3, N, 3, H + 2, W + 2) uint16
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


@kernel()
def wait(barrier: Array, workers: int) -> None:
    """Go on when all workers have come here."""
    if workers == 1:
        return
    ticket = atomic_add(barrier, 1)
    while atomic_add(barrier, 0) < (ticket // workers + 1) * workers:
        pass


@kernel()
def share_start(share: int, samples: int) -> int:
    """First sample of a share."""
    return samples * share // SHARES


@kernel(fastmath=SUMS)
def activation(x: Array, weights: Weights, counts: Array, k: int, sample: int, room: Array) -> Array:
    """A_k of a sample: the block's input for k = 0, else PReLU of the scaled counts of convolution k - 1, in `room`."""
    if k == 0:
        return x[sample]
    pixels = room.shape[1]
    for c in range(WIDTH):
        taps, scale, slope = weights.taps[k - 1], weights.scale[k - 1, c], weights.slope[k - 1, c]
        line = counts[k - 1, sample, c]
        for p in range(pixels):
            y = np.float32(taps - 2 * np.int32(line[p])) * scale
            room[c, p] = y if y > 0 else y * slope
    return room


@kernel(fastmath=SUMS)
def mean_magnitude(a: Array, e: Array) -> None:
    """E(A) of eq. 9 into `e`: the mean of |A| over the channels."""
    for p in range(e.size):
        e[p] = 0
    for c in range(WIDTH):
        for p in range(e.size):
            e[p] += abs(a[c, p])
    for p in range(e.size):
        e[p] *= np.float32(1 / WIDTH)


@kernel(fastmath=SUMS)
def _accumulate(total: Array, a: Array, e: Array, beta: float, fresh: bool) -> None:
    """Add ``beta E(A) A``, eq. 9."""
    for c in range(WIDTH):
        if fresh:
            for p in range(e.size):
                total[c, p] = e[p] * a[c, p] * beta
        else:
            for p in range(e.size):
                total[c, p] += e[p] * a[c, p] * beta


@kernel(fastmath=SUMS)
def _sample_moments(total: Array, moments: Array) -> None:
    """Mean and sum of squared deviations of each channel of one sample."""
    pixels = total.shape[1]
    for c in range(WIDTH):
        mean = np.float32(0)
        for p in range(pixels):
            mean += total[c, p]
        mean /= np.float32(pixels)
        squares = np.float32(0)
        for p in range(pixels):
            deviation = total[c, p] - mean
            squares += deviation * deviation
        moments[c, 0], moments[c, 1] = mean, squares


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
        inverse[c] = np.float32(1) / np.sqrt(np.float32(v) + EPS)


@kernel()
def _pack(
    total: Array, mean: Array, inverse: Array, gain: Array, shift: Array, height: int, width: int, bits: Array
) -> None:
    """Binarize and pack: bit j of ``bits[g, y + 1, x + 1]`` is set where channel 16 g + j is negative."""
    for g in range(3):
        for y in range(height):
            row = bits[g, y + 1]
            for j in range(16):
                c = 16 * g + j
                m, i, ga, sh = mean[c], inverse[c], gain[c], shift[c]
                flag = np.uint16(1 << j)
                line = total[c]
                for x in range(width):
                    z = (line[y * width + x] - m) * i * ga + sh
                    bit = flag if z < 0 else np.uint16(0)
                    row[x + 1] = (row[x + 1] if j else np.uint16(0)) | bit


@kernel()
def _convolve(bits: Array, words: Array, size: int, height: int, width: int, counts: Array) -> None:
    stride = width + 2
    plane = (height + 2) * stride
    for y in range(height):
        for left in range(0, width, 16):
            if size == 3:
                count3(bits, y * stride + left, stride, plane, words, counts, y * width + left, height * width)
            else:
                at = (y + 1) * stride + left + 1
                count1(bits, at, stride, plane, words, counts, y * width + left, height * width)


@kernel()
def block_forward(
    worker: int, workers: int, barrier: Array, x: Array, out: Array, words3: Array, words1: Array, weights: Weights,
    saved: Saved, moments: Array, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's share of a block.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.threads.run_parallel`.
    x, out : (N, 48, H * W) float32
        Input and output; W a multiple of 16.
    words3 : (48 * 27,) uint16
        Bits of the 3x3 filters: output channel, plane, row, column; 1 for -1.
    words1 : (2, 48 * 3) uint16
        The same of the 1x1 filters.
    weights : Weights
    saved : Saved
        Filled here.
    moments : (3, N, 48, 2) float32
        Room for each sample's statistics.
    height, width : int
    """
    n, _, pixels = x.shape
    room, e = np.empty((WIDTH, pixels), np.float32), np.empty(pixels, np.float32)
    mean, inverse, variance = np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32), np.empty(WIDTH, np.float32)
    first = share_start(SHARES * worker // workers, n)
    last = share_start(SHARES * (worker + 1) // workers, n)
    for conv in range(3):
        for s in range(first, last):
            for k in range(conv + 1):
                a = activation(x, weights, saved.counts, k, s, room)
                mean_magnitude(a, e)
                _accumulate(saved.totals[conv, s], a, e, weights.beta[conv, k], k == 0)
            _sample_moments(saved.totals[conv, s], moments[conv, s])
        wait(barrier, workers)
        _combine(moments[conv], pixels, mean, inverse, variance)
        if worker == 0:
            saved.mean[conv], saved.inverse[conv], saved.variance[conv] = mean, inverse, variance
        for s in range(first, last):
            bits, gain, shift = saved.bits[conv, s], weights.gain[conv], weights.shift[conv]
            _pack(saved.totals[conv, s], mean, inverse, gain, shift, height, width, bits)
            counts = saved.counts[conv, s].ravel()
            if conv == 0:
                _convolve(bits.ravel(), words3, 3, height, width, counts)
            else:
                _convolve(bits.ravel(), words1[conv - 1], 1, height, width, counts)
    for s in range(first, last):
        for c in range(WIDTH):
            factor = weights.scale[2, c] * weights.residual
            for p in range(pixels):
                value = np.float32(weights.taps[2] - 2 * np.int32(saved.counts[2, s, c, p]))
                out[s, c, p] = x[s, c, p] + value * factor
