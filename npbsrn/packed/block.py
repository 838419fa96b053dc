"""LB-blocks on bits, in place, 32 pixels at a time.

The stream x passes through all blocks as float32, in tiles of 32 pixels: the channels of a tile follow each other. Of
a block, only the 3x3 convolution looks at other pixels, and of those it needs nothing but bits: so all that happens to
a tile between two 3x3 convolutions is done while it is in the first cache, and leaves the sums in x and the next bits.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.blocks import wait
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.simd import (
    LANES,
    fused,
    load,
    low_words,
    magnitude,
    no_bits,
    push_sign,
    select,
    splat,
    store,
    to_float,
)
from npbsrn.packed.fold import ABS, Coefficients
from npbsrn.packed.kernels import TILE, count1, count3

Array = np.ndarray[Any, Any]

ZERO, ONE, MINUS_TWO = np.float32(0), np.float32(1), np.float32(-2)


@kernel(forceinline=True)
def _activation(
    x: Array, place: int, counts: Array, k: int, c: int, half: int, channels: int, taps: Any, factors: Any, b: int
) -> Any:
    """A_k of channel c at 16 pixels: the stream, or PReLU of a scaled sum of signs."""
    if k == 0:
        return load(x, place + c * TILE + half)
    first = (k - 1) * channels * TILE
    n = fused(to_float(load(counts, first + c * TILE + half)), MINUS_TWO, taps)
    if factors is None:
        return n
    return select(n > ZERO, n * factors[b, k - 1, 0, c], n * factors[b, k - 1, 1, c])


@kernel(forceinline=True)
def _mean(
    x: Array, place: int, counts: Array, k: int, half: int, channels: int, taps: Any, factors: Any, b: int,
    statistic: Any,
) -> Any:  # fmt: skip
    """E(A_k) at 16 pixels."""
    if statistic is None:
        return splat(ONE)
    total = splat(ZERO)
    for c in range(channels):
        a = _activation(x, place, counts, k, c, half, channels, taps, factors, b)
        total = total + (magnitude(a) if statistic == ABS else a)
    return total * (np.float32(1) / np.float32(channels))


@kernel(forceinline=True)
def _weighted(a: Any, e: Any, statistic: Any) -> Any:
    if statistic is None:
        return a
    return a * e


@kernel(forceinline=True)
def _binarize(
    n: int, x: Array, place: int, counts: Array, half: int, weight: Array, shift: Array, factors: Any, b: int,
    statistic: Any, bits: Array, where: int, plane: int,
) -> None:  # fmt: skip
    """Words of what convolution n takes in, at 16 pixels: ``sum_k weight[n, k] E(A_k) A_k + shift[n] < 0``."""
    channels = shift.shape[1]
    taps, taps3 = np.float32(channels), np.float32(9 * channels)
    e0 = _mean(x, place, counts, 0, half, channels, taps, factors, b, statistic)
    e1 = _mean(x, place, counts, 1, half, channels, taps3, factors, b, statistic) if n > 0 else e0
    e2 = _mean(x, place, counts, 2, half, channels, taps, factors, b, statistic) if n > 1 else e0
    for g in range(0, channels, 16):
        word = no_bits()
        for c in range(min(g + 16, channels) - 1, g - 1, -1):
            a = _weighted(_activation(x, place, counts, 0, c, half, channels, taps, factors, b), e0, statistic)
            z = fused(a, weight[n, 0, c], splat(shift[n, c]))
            if n > 0:
                a = _weighted(_activation(x, place, counts, 1, c, half, channels, taps3, factors, b), e1, statistic)
                z = fused(a, weight[n, 1, c], z)
            if n > 1:
                a = _weighted(_activation(x, place, counts, 2, c, half, channels, taps, factors, b), e2, statistic)
                z = fused(a, weight[n, 2, c], z)
            word = push_sign(word, z)
        store(bits, where + (g // 16) * plane + half, low_words(word))


@kernel(forceinline=True)
def _add_output(x: Array, place: int, counts: Array, half: int, last: Array) -> None:
    """The block's end: ``x += residual * scale * C_3``."""
    channels = last.shape[0]
    for c in range(channels):
        at = place + c * TILE + half
        n = fused(to_float(load(counts, (2 * channels + c) * TILE + half)), MINUS_TWO, np.float32(channels))
        store(x, at, fused(n, last[c], load(x, at)))


@kernel()
def first_bits(
    x: Array, place: int, weight: Array, shift: Array, factors: Any, b: int, statistic: Any, counts: Array,
    bits: Array, where: int, plane: int,
) -> None:  # fmt: skip
    """Words of a tile of the stream, for a block's first convolution."""
    for half in (0, LANES):
        _binarize(0, x, place, counts, half, weight, shift, factors, b, statistic, bits, where, plane)


@kernel()
def block_tile(
    x: Array, place: int, bits: Array, at: int, row: int, plane: int, words3: Array, words1: Array, weight: Array,
    shift: Array, factors: Any, b: int, last: Array, statistic: Any, counts: Array, local: Array,
) -> None:  # fmt: skip
    """One block at one tile, in place.

    Parameters
    ----------
    x : array of float32
        The stream; the tile's C x 32 values begin at `place`.
    bits : array of uint16
        What the 3x3 convolution takes in; see `npbsrn.packed.kernels.count3` for `at`, `row` and `plane`.
    words3, words1 : (C * 9 * P,), (2, C * P) uint16
        Filters.
    weight, shift, factors, last, statistic
        Of the block; see `Coefficients`.
    counts : (3 * C * 32,) uint16
        Room for the convolutions' counts.
    local : (P * 32,) uint16
        Room for what the 1x1 convolutions take in.
    """
    channels = last.shape[0]
    planes = (channels + 15) // 16
    count3(bits, at, row, plane, planes, words3, 0, channels, counts[: channels * TILE])
    for half in (0, LANES):
        _binarize(1, x, place, counts, half, weight, shift, factors, b, statistic, local, 0, TILE)
    count1(local, 0, TILE, planes, words1[0], 0, channels, counts[channels * TILE : 2 * channels * TILE])
    for half in (0, LANES):
        _binarize(2, x, place, counts, half, weight, shift, factors, b, statistic, local, 0, TILE)
    count1(local, 0, TILE, planes, words1[1], 0, channels, counts[2 * channels * TILE :])
    for half in (0, LANES):
        _add_output(x, place, counts, half, last)


@kernel(forceinline=True)
def _pad_row(bits: Array, y: int, width: int) -> None:
    """+1 behind the end of a row, where the last tile has left something."""
    for plane in range(bits.shape[1]):
        for v in range(width, bits.shape[2] - 1):
            bits[y + 1, plane, v + 1] = 0


@kernel()
def blocks_rows(
    worker: int, workers: int, barrier: Array, x: Array, width: int, bits: Array, words3: Array, words1: Array,
    own: Coefficients,
) -> None:  # fmt: skip
    """One worker's rows of all blocks; the workers meet before each block, whose 3x3 filters look at other rows.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.threads.run_parallel`.
    x : (H, T, C * 32) float32
        The stream, in place.
    width : int
        Pixels of a row; those of the last tile beyond it may be anything.
    bits : (2, H + 2, P, 32 * T + 2) uint16
        Room for bits: of one block and of the next. What lies around the picture is 0, that is +1.
    words3, words1 : (B, C * 9 * P), (B, 2, C * P) uint16
    own : Coefficients
    """
    height, tiles, size = x.shape
    _, _, planes, plane = bits.shape
    blocks, channels = own.last.shape
    stream, row = x.ravel(), planes * plane
    counts, local = np.empty(3 * channels * TILE, np.uint16), np.empty(planes * TILE, np.uint16)
    begin, end = height * worker // workers, height * (worker + 1) // workers
    for b in range(blocks + 1):
        before, after = bits[(b + 1) % 2].ravel(), bits[b % 2].ravel()
        if b > 0:
            wait(barrier, workers)
        for y in range(begin, end):
            for t in range(tiles):
                place, at = (y * tiles + t) * size, y * row + t * TILE
                if b > 0:
                    block_tile(
                        stream, place, before, at, row, plane, words3[b - 1], words1[b - 1], own.weight[b - 1],
                        own.shift[b - 1], own.factors, b - 1, own.last[b - 1],
                        own.statistic, counts, local,
                    )  # fmt: skip
                if b < blocks:
                    first_bits(
                        stream, place, own.weight[b], own.shift[b],
                        own.factors, b,
                        own.statistic, counts, after, at + row + 1, plane,
                    )  # fmt: skip
            if b < blocks:
                _pad_row(bits[b % 2], y, width)
