"""Products of filter signs with floats by tables: exact in float32, and without a multiplication.

Four values d0..d3 have 16 signed sums. With these in a table, each nibble of signs takes one load and one addition for
four multiply-accumulates in every lane of a vector. For dX, the four values are four output channels at 16 pixels, and
the nibbles come from filter bits. For dW, they are four pixels at 16 output channels, and the nibbles come from pixel
bits: see `npbsrn.kernels.pixel_tables`.

A nibble n is stored as the byte ``8 * n``: its entry is 64 n bytes behind the start of the table, and an address can
multiply a register by eight. The tables of one group follow each other; all loads from them are aligned.

Channels are multiples of 16. Output channels are processed in chunks of at most `CHUNK` groups of four, so that their
tables stay in the L1 cache.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.signed_sums import TABLE, add_to, make_look_up, signed_sums
from npbsrn.kernels.simd import LANES

Array = np.ndarray[Any, Any]

CHUNK = 16  # groups of four output channels: their tables take 16 KiB
# Sums of a 3x3 filter that are made together: they hide the latency of an addition, and fit the registers.
AT_ONCE = 9 if has_avx512() else 3


# Intrinsics are globals, see `npbsrn.kernels.counts`.
_three4, _three8, _three12, _three16 = (make_look_up(AT_ONCE, groups) for groups in (4, 8, 12, 16))
_one4, _one8, _one12, _one16 = (make_look_up(4, groups) for groups in (4, 8, 12, 16))


@part(forceinline=True)
def _look_up3(tables: Array, nibbles: Array, first: int, groups: int) -> Any:
    """`AT_ONCE` sums of the taps of a 3x3 filter."""
    if groups == 16:
        return _three16(tables, nibbles, first, 0)
    if groups == 12:
        return _three12(tables, nibbles, first, 0)
    if groups == 8:
        return _three8(tables, nibbles, first, 0)
    return _three4(tables, nibbles, first, 0)


@part(forceinline=True)
def _look_up1(tables: Array, nibbles: Array, first: int, groups: int) -> Any:
    """Sums of four input channels of 1x1 filters."""
    if groups == 16:
        return _one16(tables, nibbles, first, 0)
    if groups == 12:
        return _one12(tables, nibbles, first, 0)
    if groups == 8:
        return _one8(tables, nibbles, first, 0)
    return _one4(tables, nibbles, first, 0)


@part(forceinline=True)
def part_of(groups: int) -> int:
    """Bytes of the nibbles of `AT_ONCE` taps, filled up to whole words of 8."""
    return (groups * AT_ONCE + 7) // 8 * 8


@part(forceinline=True)
def stride_of(groups: int, part: int, size: int) -> int:
    """Bytes of the nibbles of one input channel; `part` is that of `part_of`."""
    return 9 // AT_ONCE * part if size == 3 else groups


@part(forceinline=True)
def chunk_of(outputs: int, group: int) -> int:
    """Groups of the chunk that begins with this one."""
    return min(CHUNK, outputs // 4 - group)


@kernel()
def filter_nibbles(w: Array, out: Array) -> None:
    """Nibbles of filters (O, C, k, k), +-1, in the order in which they are used.

    By chunk of output channels. In one, of 3x3 filters: input channel, `AT_ONCE` taps, group of four output channels,
    tap. 1x1: four input channels, group, one of the four.

    Parameters
    ----------
    w : (O, C, k, k) float32, contiguous
    out : (at least `nibbles_size`) uint8
    """
    outputs, inputs, size, _ = w.shape
    taps = size * size
    signs = w.ravel()
    for first in range(0, outputs // 4, CHUNK):
        groups = chunk_of(outputs, first)
        start, part = first * inputs // CHUNK * stride_of(CHUNK, part_of(CHUNK), size), part_of(groups)
        stride = stride_of(groups, part, size)
        for i in range(inputs):
            for q in range(groups):
                for tap in range(taps):
                    entry = 0
                    for b in range(4):
                        if signs[((4 * (first + q) + b) * inputs + i) * taps + tap] < 0:
                            entry |= 8 << b
                    if size == 3:
                        out[start + i * stride + tap // AT_ONCE * part + q * AT_ONCE + tap % AT_ONCE] = entry
                    else:
                        out[start + (i // 4 * groups + q) * 4 + i % 4] = entry


def nibbles_size(outputs: int, inputs: int, size: int) -> int:
    """Bytes that `filter_nibbles` fills."""
    whole, rest = divmod(outputs // 4, CHUNK)
    # As Python, for which a part would be compiled by itself, in each process.
    strides = (stride_of.py_func(groups, part_of.py_func(groups), size) for groups in (CHUNK, rest))
    chunk, last = map(int, strides)
    return inputs * (whole * chunk + last)


@kernel()
def row_tables(g: Array, place: int, step: int, groups: int, tables: Array) -> None:
    """Tables of 16 pixels for dX, of groups of 4 channels that lie `step` apart."""
    for q in range(groups):
        signed_sums(g, place + 4 * q * step, step, tables, q * TABLE)


@part(forceinline=True)
def _three_columns(ring: Array, row: int, column: int, place: int, a: Any, b: Any, c: Any, begin: bool) -> None:
    """Add to the three columns of a row of the ring, or begin it."""
    if begin:
        store(ring, row + place, a)
        store(ring, row + column + place, b)
        store(ring, row + 2 * column + place, c)
    else:
        add_to(ring, row + place, a)
        add_to(ring, row + column + place, b)
        add_to(ring, row + 2 * column + place, c)


@kernel()
def spread_row(
    tables: Array, nibbles: Array, first: int, groups: int, inputs: int, left: int, h: int, width: int, begin: bool,
    ring: Array,
) -> None:  # fmt: skip
    """What 16 pixels of row h of g send through 3x3 filters.

    ``dx[i, h - 1 + ky, v - 1 + kx] += sum_o w[o, i, ky, kx] g[o, h, v]``, o over one chunk. The three columns kx are
    kept apart, so that every vector is aligned; `join_row` puts them together when a row of dx is complete.

    Parameters
    ----------
    tables : float32
        Of the chunk's groups at these pixels.
    nibbles, first
        Of the filters, the chunk's from `first` on.
    groups : {4, 8, 12, 16}
    inputs : int
        Input channels, I.
    left, h, width : int
        First pixel, row, and W, a multiple of 16.
    begin : bool
        Begin row h + 1 in the ring, instead of adding to it.
    ring : float32
        Flat (3 rows by turns, 3 columns kx, I, W + 32), pixel v at 16 + v.
    """
    line = width + 2 * LANES
    column = inputs * line
    above, here, below = ((h + 2) % 3) * 3 * column, (h % 3) * 3 * column, ((h + 1) % 3) * 3 * column
    part = part_of(groups)
    stride = stride_of(groups, part, 3)
    for i in range(inputs):
        place, source = i * line + LANES + left, first + i * stride
        if AT_ONCE == 9:
            a = _look_up3(tables, nibbles, source, groups)
            _three_columns(ring, above, column, place, a[0], a[1], a[2], False)
            _three_columns(ring, here, column, place, a[3], a[4], a[5], False)
            _three_columns(ring, below, column, place, a[6], a[7], a[8], begin)
        else:
            a = _look_up3(tables, nibbles, source, groups)
            _three_columns(ring, above, column, place, a[0], a[1], a[2], False)
            a = _look_up3(tables, nibbles, source + part, groups)
            _three_columns(ring, here, column, place, a[0], a[1], a[2], False)
            a = _look_up3(tables, nibbles, source + 2 * part, groups)
            _three_columns(ring, below, column, place, a[0], a[1], a[2], begin)


@kernel()
def join_row(ring: Array, h: int, inputs: int, width: int, dx: Array, first: int, channel: int, pixel: int) -> None:
    """Row h of dx from the three columns that `spread_row` kept apart: ``dx[first + i * channel + v * pixel :+16]``."""
    line = width + 2 * LANES
    column = inputs * line
    for i in range(inputs):
        start = (h % 3) * 3 * column + i * line + LANES
        for v in range(0, width, LANES):
            place = start + v
            middle = load(ring, place + column)
            sides = load(ring, place + 1) + load(ring, place + 2 * column - 1)
            store(dx, first + i * channel + v * pixel, sides + middle)


@part(forceinline=True)
def _put_or_add(out: Array, place: int, vector: Any, begin: bool) -> None:
    if begin:
        store(out, place, vector)
    else:
        add_to(out, place, vector)


@kernel()
def spread_1x1(
    tables: Array,
    nibbles: Array,
    start: int,
    groups: int,
    inputs: int,
    begin: bool,
    dx: Array,
    first: int,
    channel: int,
) -> None:
    """``dx[i, v] (+)= sum_o w[o, i] g[o, v]`` for 16 pixels, o over one chunk: at ``dx[first + i * channel :+16]``."""
    for i in range(0, inputs, 4):
        a, b, c, d = _look_up1(tables, nibbles, start + i * groups, groups)
        place = first + i * channel
        _put_or_add(dx, place, a, begin)
        _put_or_add(dx, place + channel, b, begin)
        _put_or_add(dx, place + 2 * channel, c, begin)
        _put_or_add(dx, place + 3 * channel, d, begin)
