"""The forward pass of LB-blocks, on bits.

One call runs a chain of blocks for a worker's shard of the batch, row by row: the counts of a convolution are
activated, weighted and accumulated while they are in the caches. The workers meet at a barrier where batch
normalisation needs the statistics of the whole batch.
"""

from typing import Any

import numpy as np

from npbsrn.fused.shared import (
    EPS,
    ONE,
    WIDTH,
    ZERO,
    Saved,
    Weights,
    activate,
    from_tiles,
    saved_of,
    shard_start,
    to_tiles,
    value,
    weights_of,
)  # fmt: skip
from npbsrn.kernels.barrier import wait
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.popcount import count1, count3
from npbsrn.kernels.signed_sums import aligned
from npbsrn.kernels.simd import LANES, select, splat, total
from npbsrn.runtime.threads import SHARDS

Array = np.ndarray[Any, Any]


@part(forceinline=True)
def _accumulate(
    x: Array, counts: Array, k: int, place: int, weights: Weights, a: Array, totals: Array, first: int, step: int
) -> None:
    """Add ``beta[n, k] E(A_k) A_k`` to all sums that A_k is part of, eq. 9, at 16 pixels.

    A sample's sums of convolution n begin at ``totals[first + n * step]``; A_0 begins them.
    """
    e = activate(x, counts, k, place, weights, a)
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
def combine(moments: Array, pixels: int, mean: Array, inverse: Array, variance: Array) -> None:
    """Moments of the batch from those of its samples, in the order of the samples (Chan et al., 1983).

    Every worker does this for itself and writes the same values.
    """
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


@part(forceinline=True)
def _convolve(bits: Array, words: Array, size: int, y: int, left: int, height: int, width: int, counts: Array) -> None:
    """Counts of 16 pixels of row y, all channels."""
    stride = width + 2
    plane = (height + 2) * stride
    if size == 3:
        count3(bits, y * stride + left, stride, plane, words, counts, WIDTH * (y * width + left), LANES)
    else:
        place = (y + 1) * stride + left + 1
        count1(bits, place, stride, plane, words, counts, WIDTH * (y * width + left), LANES)


@part(forceinline=True)
def _add_output(x: Array, counts: Array, place: int, weights: Weights, out: Array) -> None:
    """``x + residual * scale * C_3`` at 16 pixels."""
    for c in range(WIDTH):
        at = WIDTH * place + LANES * c
        store(out, at, load(x, at) + value(counts, at, 2) * (weights.scale[2, c] * weights.residual))


@part(forceinline=True)
def _convolution(
    conv: int, s: int, height: int, width: int, words: Array, weights: Weights, saved: Saved, out: Array, a: Array
) -> None:
    """Binarize, convolve, and add what comes out to the later sums, or to the block's input."""
    bits, counts, totals = saved.bits[conv, s], saved.counts[conv, s], saved.totals.ravel()
    _, n, size = saved.totals.shape
    mean, inverse, gain, shift = saved.mean[conv], saved.inverse[conv], weights.gain[conv], weights.shift[conv]
    for y in range(height):
        _pack_row(saved.totals[conv, s], y, height, width, mean, inverse, gain, shift, bits)
    for y in range(height):
        for left in range(0, width, LANES):
            place = y * width + left
            _convolve(bits, words[conv], 3 if conv == 0 else 1, y, left, height, width, counts)
            if conv < 2:
                _accumulate(saved.inputs[s], counts, conv + 1, place, weights, a, totals, s * size, n * size)
            else:
                _add_output(saved.inputs[s], counts, place, weights, out[s])


@part(forceinline=True)
def _meet(conv: int, barrier: Array, workers: int, height: int, width: int, saved: Saved, moments: Array) -> None:
    """Wait for the whole batch's statistics."""
    wait(barrier, workers)
    combine(moments[conv], height * width, saved.mean[conv], saved.inverse[conv], saved.variance[conv])


@part(forceinline=True)
def _convolutions(
    conv: int, first: int, last: int, height: int, width: int, words: Array, weights: Weights, saved: Saved,
    out: Array, moments: Array, a: Array,
) -> None:  # fmt: skip
    """One convolution of the samples `first` to `last`, once the whole batch's statistics are there."""
    for s in range(first, last):
        _convolution(conv, s, height, width, words, weights, saved, out, a)
        if conv < 2:
            _sample_moments(saved.totals[conv + 1, s], height * width, moments[conv + 1, s])


@part(forceinline=True)
def _begin(
    first: int, last: int, weights: Weights, saved: Saved, moments: Array, a: Array, height: int, width: int
) -> None:
    """Begin all three sums of the samples `first` to `last`, with A_0."""
    _, n, size = saved.totals.shape
    for s in range(first, last):
        for place in range(0, height * width, LANES):
            totals, counts = saved.totals.ravel(), saved.counts[0, s]
            _accumulate(saved.inputs[s], counts, 0, place, weights, a, totals, s * size, n * size)
        _sample_moments(saved.totals[0, s], height * width, moments[0, s])


@kernel()
def _block(
    workers: int, barrier: Array, first: int, last: int, out: Array, words: Array, weights: Weights,
    saved: Saved, moments: Array, a: Array, height: int, width: int,
) -> None:  # fmt: skip
    """One block, samples `first` to `last`."""
    _begin(first, last, weights, saved, moments, a, height, width)
    # one after another with a constant, so that each becomes code of its own
    _meet(0, barrier, workers, height, width, saved, moments)
    _convolutions(0, first, last, height, width, words, weights, saved, out, moments, a)
    _meet(1, barrier, workers, height, width, saved, moments)
    _convolutions(1, first, last, height, width, words, weights, saved, out, moments, a)
    _meet(2, barrier, workers, height, width, saved, moments)
    _convolutions(2, first, last, height, width, words, weights, saved, out, moments, a)


@kernel()
def blocks_forward(
    worker: int, workers: int, barrier: Array, x: Array, y: Array, words: Array, weights: Weights, saved: Saved,
    moments: Array, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's shard of a chain of blocks.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.runtime.threads.run_parallel`.
    x, y : (N, 48, H * W) float32
        Input, and output, which is filled; W a multiple of 16.
    words : (B, 3, 48 * 27) uint32
        Bits of the convolutions' filters; see `npbsrn.kernels.popcount.pack_filters`.
    weights : Weights
    saved : Saved
        Filled here.
    moments : (3, N, 48, 2) float32
        Memory for each sample's statistics.
    height, width : int
    """
    n, a = x.shape[0], aligned(WIDTH * LANES)
    first, last = shard_start(SHARDS * worker // workers, n), shard_start(SHARDS * (worker + 1) // workers, n)
    blocks = words.shape[0]
    for s in range(first, last):
        to_tiles(x[s], saved.inputs[0, s])
    for b in range(blocks):
        own, kept = weights_of(weights, b), saved_of(saved, b)
        _block(workers, barrier, first, last, saved.inputs[b + 1], words[b], own, kept, moments, a, height, width)
    for s in range(first, last):
        from_tiles(saved.inputs[blocks, s], y[s])


BEGIN, CONVOLVE = 0, 1  # stages of a block: its sums are begun, then come its three convolutions


@kernel()
def forward_stage(
    worker: int, workers: int, barrier: Array, stage: int, b: int, words: Array, weights: Weights, saved: Saved,
    moments: Array, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's shard of one stage of block b.

    What `blocks_forward` does between two meetings of its workers, for a batch of which others have a part: the
    statistics that a convolution needs, in `saved`, are the caller's to make.

    Parameters
    ----------
    stage : int
        `BEGIN`, or `CONVOLVE` + n for convolution n.
    worker, workers, barrier, words, weights, saved, moments, height, width
        See `blocks_forward`. ``saved.inputs[0]`` holds the chain's input, see `to_tiles`.
    """
    n, a = saved.totals.shape[2], aligned(WIDTH * LANES)
    first, last = shard_start(SHARDS * worker // workers, n), shard_start(SHARDS * (worker + 1) // workers, n)
    own, kept, out = weights_of(weights, b), saved_of(saved, b), saved.inputs[b + 1]
    if stage == BEGIN:
        _begin(first, last, own, kept, moments, a, height, width)
    if stage == CONVOLVE:
        _convolutions(0, first, last, height, width, words[b], own, kept, out, moments, a)
    if stage == CONVOLVE + 1:
        _convolutions(1, first, last, height, width, words[b], own, kept, out, moments, a)
    if stage == CONVOLVE + 2:
        _convolutions(2, first, last, height, width, words[b], own, kept, out, moments, a)
