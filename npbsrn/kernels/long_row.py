"""Products of pixel signs with floats by tables, on a picture that is taken as one long row.

The cotangent of a binary convolution's filters, as in `npbsrn.kernels.pixel_tables` but for pictures of any width. A
picture with its border is one long row of (H + 2)(W + 2) pixels, in which a tap is a fixed distance. The cotangent g of
the result lies in such a row of lines of W + 2, too, with zeros where the border is: no pixel is wasted on a width that
is no multiple of anything.

A table has the 32 signed sums of five pixels: a fifth fewer look-ups than with four, for twice the entries, each of
which many taps use. The five lie `GROUPS` apart, so that the indices of `GROUPS` groups are neighbours, for every tap.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data, load, store
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.signed_sums import add_to
from npbsrn.kernels.simd import I64, LANES, f32x16

Array = np.ndarray[Any, Any]

GROUPS = 12  # whose tables are made at once
FIVE = 5  # pixels of a group
SPAN = GROUPS * FIVE  # pixels of a block
TABLE = (1 << FIVE) * LANES  # values of one group's table: all of a block's take 24 KiB


def _make_look_up(sums: int) -> Any:
    """Sums over all groups of a block; their indices begin `step` apart. An index is a byte, eight times the entry."""
    words = [(0, ir.IntType(64)), (8, ir.IntType(32))]

    @intrinsic
    def look_up(typing: Any, tables: Any, indices: Any, first: Any, step: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            t = builder.bitcast(data(context, builder, signature, args, 0), I64.as_pointer())
            n, totals = data(context, builder, signature, args, 1), []
            for s in range(sums):
                place, total = builder.add(args[2], builder.mul(args[3], ir.Constant(I64, s))), None
                for begin, word in words:
                    loaded = builder.load(at(builder, n, builder.add(place, ir.Constant(I64, begin)), word), align=1)
                    for byte in range(word.width // 8):
                        shifted = builder.trunc(builder.lshr(loaded, ir.Constant(word, 8 * byte)), ir.IntType(8))
                        base = ir.Constant(I64, (begin + byte) * TABLE * 4 // 8)
                        place_in = builder.add(builder.zext(shifted, I64), base)
                        entry = builder.load(at(builder, t, place_in, f32x16.vector), align=4)
                        total = entry if total is None else builder.fadd(total, entry)
                totals.append(total)
            return context.make_tuple(builder, signature.return_type, totals)

        return types.UniTuple(f32x16, sums)(tables, indices, types.intp, types.intp), codegen

    return look_up


_three, _four = _make_look_up(3), _make_look_up(4)  # intrinsics are globals, see `npbsrn.kernels.counts`


@kernel(forceinline=True)
def index_length(pixels: int, line: int) -> int:
    """Indices of a channel of a padded picture of so many pixels: taps of the last block look beyond its end."""
    return (pixels + LANES - 1) // LANES * LANES + SPAN + 2 * line + LANES


@kernel()
def pixel_indices(bits: Array, first: int, planes: int, pixels: int, length: int, out: Array, place: int) -> None:
    """Index (c, p): the bits of channel c at the pixels p, p + 12, .. p + 48 of the long row, from bit 3 on.

    Parameters
    ----------
    bits : uint16
        From `first` on flat (planes, pixels), and then 64 words that may be anything.
    planes, pixels : int
    length : int
        See `index_length`. What is beyond the picture stays as it is.
    out : uint8
        From `place` on (16 * planes, length).
    """
    one = np.uint16(1)
    for g in range(planes):
        for p in range(0, pixels, LANES):
            start = first + g * pixels + p
            a, b, c = load(bits, start), load(bits, start + GROUPS), load(bits, start + 2 * GROUPS)
            d, e = load(bits, start + 3 * GROUPS), load(bits, start + 4 * GROUPS)
            for j in range(BITS):
                shift = np.uint16(j)
                low = ((a >> shift) & one) | (((b >> shift) & one) << np.uint16(1))
                high = ((c >> shift) & one) | (((d >> shift) & one) << np.uint16(1))
                index = low | (high << np.uint16(2)) | (((e >> shift) & one) << np.uint16(4))
                store(out, place + (BITS * g + j) * length + p, index << np.uint16(3))


@kernel(forceinline=True)
def _four_entries(x: Any, e: Any, out: Array, where: int, opposite: int) -> None:
    """``x + e``, ``x - e`` and, at the opposite entry, ``-x + e`` and ``-x - e``."""
    more, less = x + e, x - e
    store(out, where, more)
    store(out, where + 16 * LANES, less)
    store(out, opposite, -less)
    store(out, opposite + 16 * LANES, -more)


@kernel(forceinline=True)
def _sums_of_five(values: Array, place: int, step: int, out: Array, where: int) -> None:
    """``out[where + 16 n :+16] = +-a +-b +-c +-d +-e``, a minus where bit 0, 1, .. 4 of n is set.

    The five are vectors of `values` that lie `step` apart.
    """
    a, b, c = load(values, place), load(values, place + step), load(values, place + 2 * step)
    d, e = load(values, place + 3 * step), load(values, place + 4 * step)
    p, m, q, n = a + b, b - a, c + d, d - c
    last = where + 15 * LANES
    _four_entries(q + p, e, out, where, last)
    _four_entries(q + m, e, out, where + LANES, last - LANES)
    _four_entries(q - m, e, out, where + 2 * LANES, last - 2 * LANES)
    _four_entries(q - p, e, out, where + 3 * LANES, last - 3 * LANES)
    _four_entries(n + p, e, out, where + 4 * LANES, last - 4 * LANES)
    _four_entries(n + m, e, out, where + 5 * LANES, last - 5 * LANES)
    _four_entries(n - m, e, out, where + 6 * LANES, last - 6 * LANES)
    _four_entries(n - p, e, out, where + 7 * LANES, last - 7 * LANES)


@kernel()
def span_tables(g: Array, place: int, length: int, turned: Array, tables: Array) -> None:
    """Tables of a block of pixels for 16 output channels.

    Parameters
    ----------
    g : float32
        From `place` on (16, length); four more pixels than a block's are read.
    turned : float32
        Memory (64, 16) for the same with channels last.
    tables : float32
        Filled: (12, 32, 16).
    """
    for pixel in range(0, SPAN, LANES):
        transpose16(g, place + pixel, length, turned, pixel * LANES, LANES)
    for group in range(GROUPS):
        _sums_of_five(turned, group * LANES, GROUPS * LANES, tables, group * TABLE)


@kernel()
def add_products(
    indices: Array, place: int, length: int, inputs: int, tables: Array, p: int, line: int, size: int, dw: Array,
    where: int,
) -> None:  # fmt: skip
    """``dw[i, ky, kx, o] += sum_v g[o, v] x[i, v + ky * line + kx]`` over a block that begins at pixel p.

    Parameters
    ----------
    indices, place, length
        See `pixel_indices`.
    inputs : int
        Input channels, a multiple of 16.
    tables
        See `span_tables`.
    p, line : int
        Of a 1x1 filter, v is where the picture without its border begins: ``line + 1`` is added here.
    size : {1, 3}
    dw : float32
        From `where` on (I, k, k, 16).
    """
    target = where
    if size == 3:
        for i in range(inputs):
            for ky in range(3):
                a, b, c = _three(tables, indices, place + i * length + p + ky * line, 1)
                add_to(dw, target, a)
                add_to(dw, target + LANES, b)
                add_to(dw, target + 2 * LANES, c)
                target += 3 * LANES
    else:
        for i in range(0, inputs, 4):
            a, b, c, d = _four(tables, indices, place + i * length + p + line + 1, length)
            add_to(dw, target, a)
            add_to(dw, target + LANES, b)
            add_to(dw, target + 2 * LANES, c)
            add_to(dw, target + 3 * LANES, d)
            target += 4 * LANES
