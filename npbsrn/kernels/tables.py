"""Products of signs with floats by tables: exact in float32, and without a multiplication.

Of four values d0..d3 make the 16 signed sums. Then each nibble of signs is one load and one addition for four
multiply-accumulates of every lane of a vector. For dX the four values are four output channels at 16 pixels, and the
nibbles are of filter bits; for dW they are four pixels at 16 output channels, and the nibbles are of pixel bits.

A nibble n is kept as the byte ``8 * n``: the entry stands 64 bytes times n behind its table's start, and a processor's
address can hold eight times a register. Tables of one group follow each other; all loads of them are aligned.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data, load, store
from npbsrn.kernels.simd import I32, I64, LANES, f32x16, splat

Array = np.ndarray[Any, Any]

WIDTH = 48  # channels of the networks that these kernels serve: 3 vectors, 3 words of 16 bits, 12 groups of 4
GROUPS = WIDTH // 4
TABLE = 16 * LANES  # values of one group's table
ROWS = 2  # of 16 pixels whose tables for dW are made at once: eight groups of four pixels


@kernel()
def aligned(size: int) -> Array:
    """Room for `size` float32 on a boundary of 64 bytes, zero."""
    room = np.zeros(size + LANES, np.float32)
    first = (-room.ctypes.data // 4) % LANES
    return room[first : first + size]


@kernel(forceinline=True)
def signed_sums(values: Array, place: int, step: int, out: Array, where: int) -> None:
    """``out[where + 16 n :+16] = sum_b +-values[place + b * step :+16]``, a minus where bit b of n is set."""
    a, b = load(values, place), load(values, place + step)
    c, d = load(values, place + 2 * step), load(values, place + 3 * step)
    p, m = a + b, b - a  # with their negatives the four sums of bits 0 and 1: ++, -+, +-, --
    q, n = c + d, d - c
    store(out, where, q + p)
    store(out, where + 16, q + m)
    store(out, where + 32, q - m)
    store(out, where + 48, q - p)
    store(out, where + 64, n + p)
    store(out, where + 80, n + m)
    store(out, where + 96, n - m)
    store(out, where + 112, n - p)
    store(out, where + 128, p - n)
    store(out, where + 144, m - n)
    store(out, where + 160, -(m + n))
    store(out, where + 176, -(p + n))
    store(out, where + 192, p - q)
    store(out, where + 208, m - q)
    store(out, where + 224, -(m + q))
    store(out, where + 240, -(p + q))


def _make_look_up(sums: int, groups: int, parts: int, bytes_at_once: int) -> Callable[..., Any]:
    """Sums of table entries: ``tables[part, g, nibble (g, s)]`` over the groups g.

    The nibbles follow each other as they are used, group by group, and `bytes_at_once` are read together: a processor
    takes the single ones out of a register while its ways to the memory are busy with the tables. Where they lie in
    several places, each has an argument. Each nibble is used for `parts` vectors, whose tables lie `groups` apart.
    Several sums at once hide the latency of an addition.
    """
    word = ir.IntType(8 * bytes_at_once)

    @intrinsic
    def look_up(typing: Any, tables: Any, nibbles: Any, first: Any, second: Any) -> Any:
        result = types.UniTuple(f32x16, sums * parts)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            t = builder.bitcast(data(context, builder, signature, args, 0), I64.as_pointer())
            n = data(context, builder, signature, args, 1)
            totals: list[list[Any]] = [[None] * parts for _ in range(sums)]
            loaded = None
            for k in range(groups * sums):
                g, s = divmod(k, sums)
                nth, byte = divmod(k, bytes_at_once)
                if byte == 0:
                    place = args[3] if parts > 1 and nth else builder.add(args[2], ir.Constant(I64, k))
                    loaded = builder.load(at(builder, n, place, word), align=1)
                shifted = builder.lshr(loaded, ir.Constant(word, 8 * byte))
                index = builder.zext(builder.trunc(shifted, ir.IntType(8)), I64)
                for part in range(parts):
                    base = ir.Constant(I64, (part * groups + g) * TABLE * 4 // 8)
                    entry = builder.load(at(builder, t, builder.add(index, base), f32x16.vector), align=4)
                    before = totals[s][part]
                    totals[s][part] = entry if before is None else builder.fadd(before, entry)
            return context.make_tuple(builder, result, [total for row in totals for total in row])

        return result(tables, nibbles, types.intp, types.intp), codegen

    return look_up


look_up_3x3 = _make_look_up(9, GROUPS, 1, 8)
look_up_1x1 = _make_look_up(4, GROUPS, 1, 8)
look_up_pixels = _make_look_up(1, 8, 3, 4)  # of pixels 0, 4, 8, 12 in one row and in the next
STRIDE3 = 112  # bytes of an input channel's 3x3 filters: 12 groups of 9 taps, filled up to whole words


@kernel()
def filter_nibbles(w: Array, out: Array) -> None:
    """Nibbles of filters (48, 48, k, k), +-1, in the order in which `look_up_3x3` and `look_up_1x1` use them.

    3x3: input channel, group of 4 output channels, tap. 1x1: four input channels, group, one of the four.
    """
    taps = w.shape[2] * w.shape[3]
    signs = w.ravel()
    for i in range(WIDTH):
        for q in range(GROUPS):
            for tap in range(taps):
                entry = 0
                for b in range(4):
                    if signs[((4 * q + b) * WIDTH + i) * taps + tap] < 0:
                        entry |= 8 << b
                if taps == 9:
                    out[i * STRIDE3 + q * 9 + tap] = entry
                else:
                    out[(i // 4 * GROUPS + q) * 4 + i % 4] = entry


@intrinsic
def store_quarters(typing: Any, array: Any, place: Any, gap: Any, vector: Any) -> Any:
    """The low bytes of lanes r, r + 4, r + 8, r + 12 of uint16 to ``array[place + r * gap :+4]``, r < 4."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.VectorType(ir.IntType(8), LANES)
        low = builder.trunc(args[3], byte)
        order = ir.Constant(ir.VectorType(I32, LANES), [4 * (k % 4) + k // 4 for k in range(LANES)])
        words = builder.bitcast(
            builder.shuffle_vector(low, ir.Constant(byte, ir.Undefined), order), ir.VectorType(I32, 4)
        )
        base = data(context, builder, signature, args, 0)
        for r in range(4):
            target = builder.add(args[1], builder.mul(args[2], ir.Constant(I64, r)))
            builder.store(builder.extract_element(words, ir.Constant(I32, r)), at(builder, base, target, I32), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), codegen


@kernel()
def pixel_nibbles(bits: Array, height: int, width: int, out: Array) -> None:
    """Nibble (c, y, x): the bits of channel c at the pixels x .. x + 3 of row y of a padded picture.

    `bits` (3, H + 2, W + 2) and `out` are flat; `bits` may be read 15 elements beyond its end. `out` is
    (48, H + 3, 4, W / 4): in a row first the x that are multiples of 4, then those with a remainder of 1, and so on, so
    that the four nibbles of 16 pixels lie together.
    """
    stride, one = width + 2, np.uint16(8)
    for g in range(3):
        for y in range(height + 2):
            for x in range(0, width, LANES):
                start = (g * (height + 2) + y) * stride + x
                a, b, c, d = load(bits, start), load(bits, start + 1), load(bits, start + 2), load(bits, start + 3)
                for j in range(16):
                    shift = np.uint16(j)
                    low = (((a >> shift) << np.uint16(3)) & one) | (((b >> shift) << np.uint16(4)) & np.uint16(16))
                    high = ((c >> shift) << np.uint16(5)) & np.uint16(32)
                    nibbles = low | high | (((d >> shift) << np.uint16(6)) & np.uint16(64))
                    row = ((16 * g + j) * (height + 3) + y) * width
                    store_quarters(out, row + x // 4, width // 4, nibbles)


@kernel()
def row_tables(g: Array, place: int, step: int, tables: Array) -> None:
    """Tables of 16 pixels for dX, of 12 groups of 4 channels that lie `step` apart."""
    for q in range(GROUPS):
        signed_sums(g, place + 4 * q * step, step, tables, q * TABLE)


@kernel(forceinline=True)
def add_to(out: Array, place: int, vector: Any) -> None:
    """``out[place :+16] += vector``."""
    store(out, place, load(out, place) + vector)


@kernel()
def spread_row(tables: Array, nibbles: Array, left: int, h: int, width: int, ring: Array) -> None:
    """What 16 pixels of row h of g send through 3x3 filters.

    ``dx[i, h - 1 + ky, v - 1 + kx] += sum_o w[o, i, ky, kx] g[o, h, v]``. The three columns kx are kept apart, so that
    every vector is aligned; `join_row` puts them together when a row of dx is complete.

    `ring` is flat (3 rows by turns, 3 columns kx, 48, W + 32), pixel v at 16 + v. Row h + 1 is begun here.
    """
    line = width + 2 * LANES
    column = WIDTH * line
    above, here, below = ((h + 2) % 3) * 3 * column, (h % 3) * 3 * column, ((h + 1) % 3) * 3 * column
    for i in range(WIDTH):
        a0, a1, a2, b0, b1, b2, c0, c1, c2 = look_up_3x3(tables, nibbles, i * STRIDE3, 0)
        place = i * line + LANES + left
        add_to(ring, above + place, a0)
        add_to(ring, above + column + place, a1)
        add_to(ring, above + 2 * column + place, a2)
        add_to(ring, here + place, b0)
        add_to(ring, here + column + place, b1)
        add_to(ring, here + 2 * column + place, b2)
        store(ring, below + place, c0)
        store(ring, below + column + place, c1)
        store(ring, below + 2 * column + place, c2)


@kernel()
def join_row(ring: Array, h: int, width: int, dx: Array) -> None:
    """Row h of dx, in tiles of 48 x 16, from the three columns that `spread_row` kept apart."""
    line = width + 2 * LANES
    column = WIDTH * line
    for i in range(WIDTH):
        start = (h % 3) * 3 * column + i * line + LANES
        for v in range(0, width, LANES):
            place = start + v
            middle = load(ring, place + column)
            sides = load(ring, place + 1) + load(ring, place + 2 * column - 1)
            store(dx, WIDTH * (h * width + v) + LANES * i, sides + middle)


@kernel()
def spread_1x1(tables: Array, nibbles: Array, dx: Array, first: int) -> None:
    """``dx[i, v] = sum_o w[o, i] g[o, v]`` for 16 pixels: the tile of 48 x 16 at `first`."""
    for i in range(0, WIDTH, 4):
        a, b, c, d = look_up_1x1(tables, nibbles, i * GROUPS, 0)
        store(dx, first + i * LANES, a)
        store(dx, first + (i + 1) * LANES, b)
        store(dx, first + (i + 2) * LANES, c)
        store(dx, first + (i + 3) * LANES, d)


@intrinsic
def transpose16(typing: Any, values: Any, place: Any, step: Any, out: Any, where: Any, stride: Any) -> Any:
    """``out[where + c * stride + r] = values[place + r * step + c]`` for r, c < 16."""
    intp = types.intp
    signature = types.void(values, intp, intp, out, intp, intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v, r = (data(context, builder, signature, args, k) for k in (0, 3))
        place, step, where, stride = args[1], args[2], args[4], args[5]

        def line(base: Any, first: Any, stride: Any, n: int) -> Any:
            return at(builder, base, builder.add(first, builder.mul(stride, ir.Constant(I64, n))), f32x16.vector)

        rows = [builder.load(line(v, place, step, n), align=4) for n in range(16)]
        for span in (1, 2, 4, 8):  # exchange the off-diagonal quarters of all 2 span x 2 span blocks
            low = [c if not c & span else 16 + (c ^ span) for c in range(16)]
            high = [c | span if not c & span else 16 + c for c in range(16)]
            masks = [ir.Constant(ir.VectorType(I32, 16), mask) for mask in (low, high)]
            for n in range(16):
                if not n & span:
                    a, b = rows[n], rows[n | span]
                    rows[n], rows[n | span] = (builder.shuffle_vector(a, b, mask) for mask in masks)
        for n, row in enumerate(rows):
            builder.store(row, line(r, where, stride, n), align=4)
        return context.get_dummy_value()

    return signature, codegen


@kernel()
def pixel_tables(g: Array, left: int, rows: int, width: int, turned: Array, tables: Array) -> None:
    """Tables of 16 pixels of one or two rows of g (48, 2 W) for dW: groups of 4 neighbouring pixels, by channel.

    `turned` (32, 48): the same pixels with their channels last; a missing second row is zero.
    """
    for row in range(ROWS):
        for part in range(0, WIDTH, LANES):
            where = row * LANES * WIDTH + part
            if row < rows:
                transpose16(g, (part * ROWS + row) * width + left, ROWS * width, turned, where, WIDTH)
            else:
                for pixel in range(LANES):
                    store(turned, where + pixel * WIDTH, splat(np.float32(0)))
    for part in range(3):
        for q in range(8):
            signed_sums(turned, 4 * q * WIDTH + part * LANES, WIDTH, tables, (part * 8 + q) * TABLE)


@kernel()
def filters_back(
    nibbles: Array, tables: Array, y: int, left: int, height: int, width: int, size: int, dw: Array
) -> None:
    """``dw[i, ky, kx, o] += sum_v g[o, v] x[i, v + (ky, kx) - p]`` over 2 rows of 16 pixels, x = +-1."""
    rows, inside = height + 3, 1 - size // 2  # where the first tap stands in the padded picture
    for i in range(WIDTH):
        for ky in range(size):
            for kx in range(size):
                first = (i * rows + y + ky + inside) * width + (kx + inside) * (width // 4) + left // 4
                a, b, c = look_up_pixels(tables, nibbles, first, first + width)
                place = ((i * size + ky) * size + kx) * WIDTH
                add_to(dw, place, a)
                add_to(dw, place + 16, b)
                add_to(dw, place + 32, c)
