"""LB-blocks on bits, in place, 32 pixels at a time.

The stream x passes through all blocks as float32, in tiles of 32 pixels: the channels of a tile follow each other. Of
a block, only the 3x3 convolution looks at other pixels, and of those it needs nothing but bits: so all that happens to
a tile between two 3x3 convolutions is done while it is in the first cache, and leaves the sums in x and the next bits.

Each number is made by the operations of `npbsrn.blocks.BinaryBlock` and `npbsrn.binarizers.bam.Bam` in their order,
with their roundings: one sign that differs would change the picture around it.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.blocks import wait
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.simd import (
    LANES,
    divide,
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

ZERO, MINUS_TWO = np.float32(0), np.float32(-2)


class Room(NamedTuple):
    """One worker's workspace, for one tile."""

    counts: Array  # (C * 32,) uint16: of the newest convolution
    terms: Array  # (3 * C * 32,) float32: E(A_k) A_k; the first third is unused where there is no E
    bits: Array  # (P * 32,) uint16: what a 1x1 convolution takes in


@kernel()
def make_room(channels: int, planes: int) -> Room:
    """Of a worker."""
    return Room(
        np.empty(channels * TILE, np.uint16),
        np.empty(3 * channels * TILE, np.float32),
        np.empty(planes * TILE, np.uint16),
    )


@kernel(forceinline=True)
def _weight_by_statistic(a: Array, source: int, out: Array, target: int, channels: int, statistic: int) -> None:
    """``E(A) * A`` at 16 pixels, E the mean over the channels."""
    total = splat(ZERO)
    for c in range(channels):
        value = load(a, source + c * TILE)
        total = total + (magnitude(value) if statistic == ABS else value)
    e = divide(total, np.float32(channels))
    for c in range(channels):
        store(out, target + c * TILE, load(a, source + c * TILE) * e)


@kernel(forceinline=True)
def _activate(k: int, half: int, taps: int, b: int, own: Coefficients, slope: Any, statistic: Any, room: Room) -> None:
    """``E(A_k) A_k`` at 16 pixels, where A_k is PReLU of the scaled sums that convolution k has counted."""
    channels = own.scale.shape[2]
    first = k * channels * TILE + half
    for c in range(channels):
        n = fused(to_float(load(room.counts, c * TILE + half)), MINUS_TWO, np.float32(taps))
        y = n * own.scale[b, k - 1, c]
        if slope is not None:
            y = select(y > ZERO, y, y * slope[b, k - 1, c])
        store(room.terms, first + c * TILE, y)
    if statistic is not None:
        _weight_by_statistic(room.terms, first, room.terms, first, channels, statistic)


@kernel(forceinline=True)
def _binarize(
    n: int,
    half: int,
    x: Array,
    place: int,
    b: int,
    own: Coefficients,
    terms: Array,
    bits: Array,
    where: int,
    plane: int,
) -> None:
    """Words of what convolution n takes in, at 16 pixels: ``shift[n] + sum_k weight[n, k] E(A_k) A_k < 0``.

    E(A_0) A_0 is at `place` of x, which may be `terms`.
    """
    channels = own.scale.shape[2]
    size = channels * TILE
    for g in range(0, channels, 16):
        word = no_bits()
        for c in range(min(g + 16, channels) - 1, g - 1, -1):
            at = c * TILE + half
            z = fused(load(x, place + at), own.weight[b, n, 0, c], splat(own.shift[b, n, c]))
            if n > 0:
                z = fused(load(terms, size + at), own.weight[b, n, 1, c], z)
            if n > 1:
                z = fused(load(terms, 2 * size + at), own.weight[b, n, 2, c], z)
            word = push_sign(word, z)
        store(bits, where + (g // 16) * plane + half, low_words(word))


@kernel(forceinline=True)
def _add_output(half: int, x: Array, place: int, b: int, own: Coefficients, counts: Array) -> None:
    """The block's end: ``x += residual * (scale * C_3)``."""
    channels = own.scale.shape[2]
    for c in range(channels):
        at = place + c * TILE + half
        n = fused(to_float(load(counts, c * TILE + half)), MINUS_TWO, np.float32(channels))
        store(x, at, fused(n * own.scale[b, 2, c], own.residual, load(x, at)))


@kernel()
def first_bits(
    x: Array, place: int, b: int, own: Coefficients, statistic: Any, room: Room, bits: Array, where: int, plane: int
) -> None:
    """Words of a tile of the stream, for block b's first convolution."""
    for half in (0, LANES):
        if statistic is None:
            _binarize(0, half, x, place, b, own, room.terms, bits, where, plane)
        else:
            _weight_by_statistic(x, place + half, room.terms, half, own.scale.shape[2], statistic)
            _binarize(0, half, room.terms, 0, b, own, room.terms, bits, where, plane)


@kernel(forceinline=True)
def _local_bits(
    n: int, taps: int, x: Array, place: int, b: int, own: Coefficients, slope: Any, statistic: Any, room: Room
) -> None:
    """From the counts of convolution n to the words that the next one takes in, at a tile."""
    for half in (0, LANES):
        _activate(n, half, taps, b, own, slope, statistic, room)
        if statistic is None:
            _binarize(n, half, x, place, b, own, room.terms, room.bits, 0, TILE)
        else:
            if n == 1:
                _weight_by_statistic(x, place + half, room.terms, half, own.scale.shape[2], statistic)
            _binarize(n, half, room.terms, 0, b, own, room.terms, room.bits, 0, TILE)


@kernel()
def block_tile(
    x: Array, place: int, bits: Array, at: int, row: int, plane: int, words3: Array, words1: Array, b: int,
    own: Coefficients, slope: Any, statistic: Any, room: Room,
) -> None:  # fmt: skip
    """Block b at one tile, in place.

    Parameters
    ----------
    x : array of float32
        The stream; the tile's C x 32 values begin at `place`.
    bits : array of uint16
        What the 3x3 convolution takes in; see `npbsrn.packed.kernels.count3` for `at`, `row` and `plane`.
    words3, words1 : (C * 9 * P,), (2, C * P) uint16
        The block's filters.
    own, slope, statistic
        Coefficients of all blocks. Those that may be None are arguments of their own: so Numba leaves out what they
        are not needed for.
    room : Room
    """
    channels = own.scale.shape[2]
    planes = (channels + 15) // 16
    count3(bits, at, row, plane, planes, words3, 0, channels, room.counts)
    _local_bits(1, 9 * channels, x, place, b, own, slope, statistic, room)
    count1(room.bits, 0, TILE, planes, words1[0], 0, channels, room.counts)
    _local_bits(2, channels, x, place, b, own, slope, statistic, room)
    count1(room.bits, 0, TILE, planes, words1[1], 0, channels, room.counts)
    for half in (0, LANES):
        _add_output(half, x, place, b, own, room.counts)


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
    blocks, _, channels = own.scale.shape
    stream, row, room = x.ravel(), planes * plane, make_room(channels, planes)
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
                        stream, place, before, at, row, plane, words3[b - 1], words1[b - 1], b - 1, own, own.slope,
                        own.statistic, room,
                    )  # fmt: skip
                if b < blocks:
                    first_bits(stream, place, b, own, own.statistic, room, after, at + row + 1, plane)
            if b < blocks:
                _pad_row(bits[b % 2], y, width)
