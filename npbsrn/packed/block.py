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
    scalar,
    select,
    splat,
    store,
    to_float,
)
from npbsrn.kernels.tables import aligned
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
    """Of a worker, on boundaries of 64 bytes: a vector that lies across one takes twice the time."""
    size = channels * TILE
    words = aligned((size + planes * TILE) // 2).view(np.uint16)
    return Room(words[:size], aligned(3 * size), words[size:])


@kernel(forceinline=True)
def _mean(a: Array, source: int, channels: int, statistic: int) -> Any:
    """E(A) at 16 pixels."""
    total = splat(ZERO)
    for c in range(channels):
        value = load(a, source + c * TILE)
        total = total + (magnitude(value) if statistic == ABS else value)
    return divide(total, np.float32(channels))


@kernel(forceinline=True)
def _weight_by_statistic(a: Array, source: int, out: Array, target: int, channels: int, statistic: int) -> None:
    """``E(A) * A`` at 32 pixels."""
    left, right = _mean(a, source, channels, statistic), _mean(a, source + LANES, channels, statistic)
    for c in range(channels):
        at = c * TILE
        store(out, target + at, load(a, source + at) * left)
        store(out, target + at + LANES, load(a, source + at + LANES) * right)


@kernel(forceinline=True)
def _sums(counts: Array, at: int, taps: Any) -> Any:
    """Sums of 16 products of signs each, from how many are -1."""
    return fused(to_float(load(counts, at)), MINUS_TWO, taps)


@kernel(forceinline=True)
def _prelu(y: Any, slope: Any, at: int) -> Any:
    if slope is None:
        return y
    return select(y > ZERO, y, y * scalar(slope, at))


@kernel(forceinline=True)
def _activate(k: int, taps: int, b: int, own: Coefficients, slope: Any, statistic: Any, room: Room) -> None:
    """``E(A_k) A_k`` at a tile, where A_k is PReLU of the scaled sums that convolution k has counted."""
    channels, products = own.scale.shape[2], np.float32(taps)
    first, scales, slopes = k * channels * TILE, (3 * b + k - 1) * channels, (2 * b + k - 1) * channels
    for c in range(channels):
        at, scale = c * TILE, scalar(own.scale, scales + c)
        left, right = _sums(room.counts, at, products) * scale, _sums(room.counts, at + LANES, products) * scale
        store(room.terms, first + at, _prelu(left, slope, slopes + c))
        store(room.terms, first + at + LANES, _prelu(right, slope, slopes + c))
    if statistic is not None:
        _weight_by_statistic(room.terms, first, room.terms, first, channels, statistic)


@kernel(forceinline=True)
def _binarize(
    n: int, x: Array, place: int, b: int, own: Coefficients, terms: Array, bits: Array, where: int, plane: int
) -> None:
    """Words of what convolution n takes in, at a tile: ``shift[n] + sum_k weight[n, k] E(A_k) A_k < 0``.

    E(A_0) A_0 is at `place` of x, which may be `terms`; the others are in `terms`.
    """
    channels = own.scale.shape[2]
    size, shifts, weights = channels * TILE, (3 * b + n) * channels, 3 * (3 * b + n) * channels
    for g in range(0, channels, 16):
        left, right = no_bits(), no_bits()
        for c in range(min(g + 16, channels) - 1, g - 1, -1):
            at, shift, weight = c * TILE, splat(scalar(own.shift, shifts + c)), scalar(own.weight, weights + c)
            z = fused(load(x, place + at), weight, shift)
            other = fused(load(x, place + at + LANES), weight, shift)
            for k in range(1, n + 1):
                weight = scalar(own.weight, weights + k * channels + c)
                z = fused(load(terms, k * size + at), weight, z)
                other = fused(load(terms, k * size + at + LANES), weight, other)
            left, right = push_sign(left, z), push_sign(right, other)
        store(bits, where + (g // 16) * plane, low_words(left))
        store(bits, where + (g // 16) * plane + LANES, low_words(right))


@kernel(forceinline=True)
def _add_output(x: Array, place: int, b: int, own: Coefficients, counts: Array) -> None:
    """The block's end: ``x += residual * (scale * C_3)``."""
    channels, scales = own.scale.shape[2], (3 * b + 2) * own.scale.shape[2]
    products = np.float32(channels)
    for c in range(channels):
        at, scale = c * TILE, scalar(own.scale, scales + c)
        left, right = _sums(counts, at, products) * scale, _sums(counts, at + LANES, products) * scale
        store(x, place + at, fused(left, own.residual, load(x, place + at)))
        store(x, place + at + LANES, fused(right, own.residual, load(x, place + at + LANES)))


@kernel()
def first_bits(
    x: Array, place: int, b: int, own: Coefficients, statistic: Any, room: Room, bits: Array, where: int, plane: int
) -> None:
    """Words of a tile of the stream, for block b's first convolution."""
    if statistic is None:
        _binarize(0, x, place, b, own, room.terms, bits, where, plane)
    else:
        _weight_by_statistic(x, place, room.terms, 0, own.scale.shape[2], statistic)
        _binarize(0, room.terms, 0, b, own, room.terms, bits, where, plane)


@kernel(forceinline=True)
def _local_bits(
    n: int, taps: int, x: Array, place: int, b: int, own: Coefficients, slope: Any, statistic: Any, room: Room
) -> None:
    """From the counts of convolution n to the words that the next one takes in, at a tile."""
    _activate(n, taps, b, own, slope, statistic, room)
    if statistic is None:
        _binarize(n, x, place, b, own, room.terms, room.bits, 0, TILE)
    else:
        if n == 1:
            _weight_by_statistic(x, place, room.terms, 0, own.scale.shape[2], statistic)
        _binarize(n, room.terms, 0, b, own, room.terms, room.bits, 0, TILE)


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
    _add_output(x, place, b, own, room.counts)


@kernel(forceinline=True)
def _pad_row(bits: Array, y: int, width: int) -> None:
    """+1 behind the end of a row, where the last tile has left something."""
    for plane in range(bits.shape[1]):
        for v in range(width, bits.shape[2] - 1):
            bits[y + 1, plane, v + 1] = 0


@kernel()
def _bits_row(x: Array, width: int, b: int, y: int, bits: Array, own: Coefficients, room: Room) -> None:
    """Words of a row of the stream, for block b."""
    _, tiles, size = x.shape
    _, planes, plane = bits.shape[1:]
    stream, words = x.ravel(), bits[b % len(bits)]
    for t in range(tiles):
        where = ((y + 1) * planes * plane) + t * TILE + 1
        first_bits(stream, (y * tiles + t) * size, b, own, own.statistic, room, words.ravel(), where, plane)
    _pad_row(words, y, width)


@kernel()
def _block_row(
    x: Array, width: int, b: int, y: int, bits: Array, words3: Array, words1: Array, own: Coefficients, room: Room
) -> None:
    """Block b at one row, and the words that the next block takes in there."""
    _, tiles, size = x.shape
    _, planes, plane = bits.shape[1:]
    stream, row = x.ravel(), planes * plane
    before, after = bits[b % len(bits)].ravel(), bits[(b + 1) % len(bits)]
    for t in range(tiles):
        place, at = (y * tiles + t) * size, y * row + t * TILE
        block_tile(stream, place, before, at, row, plane, words3[b], words1[b], b, own, own.slope, own.statistic, room)
        if b + 1 < len(own.scale):
            first_bits(stream, place, b + 1, own, own.statistic, room, after.ravel(), at + row + 1, plane)
    _pad_row(after, y, width)


@kernel()
def blocks_rows(
    worker: int, workers: int, barrier: Array, x: Array, width: int, bits: Array, words3: Array, words1: Array,
    own: Coefficients,
) -> None:  # fmt: skip
    """One worker's rows of all blocks.

    Some blocks pass over the rows together, each one row behind the one before it, so that the stream's rows stay in
    the second cache from block to block. Where a worker's rows end, a block can go one row less far than the one
    before it: what is left there, a triangle of rows and blocks, is done when both sides have come so far.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.threads.run_parallel`. Each worker has at least 2 (depth - 1) rows.
    x : (H, T, C * 32) float32
        The stream, in place.
    width : int
        Pixels of a row; those of the last tile beyond it may be anything.
    bits : (depth + 1, H + 2, P, 32 * T + 2) uint16
        Room for the words that blocks take in; `depth` is how many blocks go together. What lies around the picture is
        0, that is +1.
    words3, words1 : (B, C * 9 * P), (B, 2, C * P) uint16
    own : Coefficients
    """
    height, (blocks, _, channels), depth = len(x), own.scale.shape, len(bits) - 1
    room = make_room(channels, bits.shape[2])
    begin, end = height * worker // workers, height * (worker + 1) // workers
    above, below = int(worker > 0), int(worker < workers - 1)
    for y in range(begin, end):
        _bits_row(x, width, 0, y, bits, own, room)
    for first in range(0, blocks, depth):
        levels = min(depth, blocks - first)
        wait(barrier, workers)
        for step in range(begin, end + levels - 1):
            for level in range(levels):
                y = step - level
                if begin + above * level <= y < end - below * level:
                    _block_row(x, width, first + level, y, bits, words3, words1, own, room)
        wait(barrier, workers)
        for level in range(1, levels):
            for y in range(begin - level, begin + level):
                if above:
                    _block_row(x, width, first + level, y, bits, words3, words1, own, room)
