"""LB-blocks on bits, in place, 32 pixels at a time.

The stream x passes through all blocks as float32, in tiles of 32 pixels: the channels of a tile follow each other. Of
a block, only the 3x3 convolution looks at other pixels, and of those it needs nothing but bits: so all that happens to
a tile between two 3x3 convolutions is done while it is in the first cache, and leaves the sums in x and the next bits.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.barrier import wait
from npbsrn.kernels.bits import TILE
from npbsrn.kernels.counts import count1, count3
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import memory, put
from npbsrn.packed.epilogues import (
    Own,
    Room,
    activate,
    add_output,
    binarize,
    counts_to_bits,
    output_to_bits,
    weight_by_statistic,
)
from npbsrn.packed.lower import Coefficients
from npbsrn.runtime.buffers import empty

Array = np.ndarray[Any, Any]


@kernel(forceinline=True)
def _first_bits(
    x: Any, place: int, b: int, own: Own, statistic: Any, room: Room, bits: Any, where: int, plane: int
) -> None:
    """Words of a tile of the stream, for block b's first convolution."""
    if statistic is None:
        binarize(0, x, place, b, own, room.terms, bits, where, plane)
    else:
        weight_by_statistic(x, place, room.terms, 0, own.channels, statistic)
        binarize(0, room.terms, 0, b, own, room.terms, bits, where, plane)


@kernel(forceinline=True)
def _local_bits(
    n: int, taps: int, x: Any, place: int, b: int, own: Own, slope: Any, statistic: Any, room: Room
) -> None:
    """From the counts of convolution n - 1 to the words that convolution n takes in; n is 1 or 2."""
    if statistic is None:
        counts_to_bits(n, taps, x, place, b, own, slope, room)
    else:
        activate(n, taps, b, own, slope, statistic, room)
        if n == 1:
            weight_by_statistic(x, place, room.terms, 0, own.channels, statistic)
        binarize(n, room.terms, 0, b, own, room.terms, room.bits, 0, TILE)


@kernel(forceinline=True)
def _output(
    x: Any, place: int, b: int, last: bool, own: Own, statistic: Any, room: Room, bits: Any, where: int, plane: int
) -> None:
    """The block's end, and unless it is the last the words that the next block takes in."""
    if statistic is None and not last:
        output_to_bits(x, place, b, own, room.counts, bits, where, plane)
    else:
        add_output(x, place, b, own, room.counts)
        if not last:
            _first_bits(x, place, b + 1, own, statistic, room, bits, where, plane)


class Walk(NamedTuple):
    """What the blocks walk over, and what they take from it: memory."""

    x: Any  # (H, tiles, C * 32) float32: the stream
    bits: Any  # (slots, H + 2, planes, line) uint16
    words3: Any  # (B, C * 9 * planes) uint16
    words1: Any  # (B, 2, C * planes) uint16
    height: int
    width: int
    tiles: int
    blocks: int
    slots: int
    planes: int
    line: int


@kernel(forceinline=True)
def _place_of_bits(walk: Walk, b: int, y: int) -> int:
    """Of the words above and to the left of row y's first pixel, as block b takes them in."""
    return (b % walk.slots * (walk.height + 2) + y) * walk.planes * walk.line


@kernel(forceinline=True)
def _pad_row(walk: Walk, b: int, y: int) -> None:
    """+1 behind the end of a row of block b's words, where the last tile has left something."""
    first = _place_of_bits(walk, b, y + 1) + 1
    for plane in range(walk.planes):
        for v in range(walk.width, walk.line - 1):
            put(walk.bits, first + plane * walk.line + v, 0)


@kernel()
def _bits_row(y: int, walk: Walk, own: Own, statistic: Any, room: Room) -> None:
    """Words of a row of the stream, for the first block."""
    for t in range(walk.tiles):
        place, where = (y * walk.tiles + t) * own.channels * TILE, _place_of_bits(walk, 0, y + 1) + t * TILE + 1
        _first_bits(walk.x, place, 0, own, statistic, room, walk.bits, where, walk.line)
    _pad_row(walk, 0, y)


@kernel()
def _block_row(
    b: int, y: int, begin: int, end: int, walk: Walk, own: Own, slope: Any, statistic: Any, room: Room
) -> None:
    """Block b at some tiles of a row, in place, and the words that the next block takes in there."""
    channels, planes, line = own.channels, walk.planes, walk.line
    filters = channels * planes
    before, after = _place_of_bits(walk, b, y), _place_of_bits(walk, b + 1, y + 1) + 1
    for t in range(begin, end):
        place, at = (y * walk.tiles + t) * channels * TILE, t * TILE
        count3(walk.bits, before + at, planes * line, line, planes, walk.words3, 9 * b * filters, channels, room.counts)
        _local_bits(1, 9 * channels, walk.x, place, b, own, slope, statistic, room)
        count1(room.bits, 0, TILE, planes, walk.words1, 2 * b * filters, channels, room.counts)
        _local_bits(2, channels, walk.x, place, b, own, slope, statistic, room)
        count1(room.bits, 0, TILE, planes, walk.words1, (2 * b + 1) * filters, channels, room.counts)
        _output(walk.x, place, b, b + 1 == walk.blocks, own, statistic, room, walk.bits, after + at, line)
    if end == walk.tiles:
        _pad_row(walk, b + 1, y)


def make_rooms(workers: int, channels: int, planes: int) -> Array:
    """Workspaces, on boundaries of 64 bytes: a vector that lies across one takes twice the time."""
    return empty((workers, 3 * channels * TILE + (channels + planes) * TILE // 2), np.float32)


@kernel()
def blocks_rows(
    worker: int, workers: int, barrier: Array, x: Array, width: int, bits: Array, words3: Array, words1: Array,
    own: Coefficients, rooms: Array, strip: int, top: int, bottom: int,
) -> None:  # fmt: skip
    """One worker's rows of all blocks.

    Some blocks pass over the rows together, each one row behind the one before it, and in a wide picture over one strip
    of tiles after the other, each one tile to the left of the one before it: so the stream's rows stay in the second
    cache from block to block, and a block finds the words that it looks at. Where a worker's rows end, a block can go
    one row less far than the one before it: what is left there, a triangle of rows and blocks, is done when both sides
    have come so far.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.runtime.threads.run_parallel`. Each worker has at least 2 (depth - 1) rows.
    x : (H, T, C * 32) float32
        The stream, in place.
    width : int
        Pixels of a row; those of the last tile beyond it may be anything.
    bits : (depth + 1, H + 2, P, 32 * T + 2) uint16
        Room for the words that blocks take in; `depth` is how many blocks go together. What lies around the picture is
        0, that is +1.
    words3, words1 : (B, C * 9 * P), (B, 2, C * P) uint16
    own : Coefficients
    rooms : (workers, n) float32
        See `make_rooms`.
    strip : int
        Tiles.
    top, bottom : int
        Rows that are wanted of the last block's result; each block before it does one more above and below.
    """
    (height, tiles, _), (blocks, _, channels), (slots, _, planes, line) = x.shape, own.scale.shape, bits.shape
    arrays = memory(x), memory(bits), memory(words3), memory(words1)
    walk = Walk(*arrays, height, width, tiles, blocks, slots, planes, line)
    slope, statistic, depth = memory(own.slope), own.statistic, slots - 1
    folded = Own(channels, memory(own.weight), memory(own.shift), memory(own.scale), own.residual)
    words, cut = rooms[worker, 3 * channels * TILE :].view(np.uint16), channels * TILE
    room = Room(memory(words[:cut]), memory(rooms[worker]), memory(words[cut:]))
    begin, end = height * worker // workers, height * (worker + 1) // workers
    above, below, shift = int(worker > 0), int(worker < workers - 1), int(strip < tiles)
    for y in range(begin, end):
        _bits_row(y, walk, folded, statistic, room)
    for first in range(0, blocks, depth):
        levels = min(depth, blocks - first)
        wait(barrier, workers)
        for left in range(0, tiles + shift * (levels - 1), strip):
            for step in range(begin, end + levels - 1):
                for level in range(levels):
                    y, here, more = step - level, left - shift * level, blocks - 1 - first - level
                    low, high = max(here, 0), min(here + strip, tiles)
                    own_row = begin + above * level <= y < end - below * level
                    if own_row and top - more <= y < bottom + more and low < high:
                        _block_row(first + level, y, low, high, walk, folded, slope, statistic, room)
        wait(barrier, workers)
        for level in range(1, levels):
            more = blocks - 1 - first - level
            for y in range(max(begin - level, top - more), min(begin + level, bottom + more)):
                if above:
                    # a literal 0 would be compiled once more, as a case of its own
                    _block_row(first + level, y, np.int64(0), tiles, walk, folded, slope, statistic, room)
