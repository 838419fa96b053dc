"""Products of pixel signs with floats by tables: the cotangent of a binary convolution's filters.

See `npbsrn.kernels.tables` for the method. Output channels are processed in chunks of one to three vectors.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data, load, store
from npbsrn.kernels.signed_sums import TABLE, add_to, make_look_up, signed_sums
from npbsrn.kernels.simd import I32, I64, LANES, splat

Array = np.ndarray[Any, Any]

ROWS = 2  # of 16 pixels whose tables are made at once
GROUPS = ROWS * LANES // 4  # of four pixels whose tables are made at once
MOST = 3  # vectors of output channels whose tables are made at once: 24 KiB

# Of pixels 0, 4, 8, 12 in one row and in the next. Intrinsics are globals, see `npbsrn.kernels.counts`.
_one, _two, _three = (make_look_up(1, GROUPS, parts, 4, apart=True) for parts in (1, 2, 3))


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


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """As many rows as they have lanes: at first within four lanes, as x86 has one instruction for each result there."""
    edge = len(rows)

    def exchange(span: int, low: list[int], high: list[int]) -> None:
        masks = [ir.Constant(ir.VectorType(I32, edge), mask) for mask in (low, high)]
        for n in range(edge):
            if not n & span:
                a, b = rows[n], rows[n + span]
                rows[n], rows[n + span] = (builder.shuffle_vector(a, b, mask) for mask in masks)

    rows, fours = list(rows), range(0, edge, 4)
    # a0 b0 a1 b1 and a2 b2 a3 b3 of rows a, b, c and d; of these and those of c and d, a0 b0 c0 d0 and a1 b1 c1 d1
    for span, own in ((1, (0, edge, 1, edge + 1)), (2, (0, 1, edge, edge + 1))):
        exchange(span, *([k + lane + more for k in fours for lane in own] for more in (0, 2)))
    rows = [rows[n & ~3 | (n & 1) << 1 | (n & 2) >> 1] for n in range(edge)]
    span = 4
    while span < edge:  # exchange the off-diagonal quarters of all blocks
        low = [c if not c & span else edge + (c ^ span) for c in range(edge)]
        exchange(span, low, [c | span if not c & span else edge + c for c in range(edge)])
        span *= 2
    return rows


@intrinsic
def transpose16(typing: Any, values: Any, place: Any, step: Any, out: Any, where: Any, stride: Any) -> Any:
    """``out[where + c * stride + r] = values[place + r * step + c]`` for r, c < 16; the two do not overlap.

    Where vectors have fewer than 16 lanes, by blocks of 8x8, which stay in registers.
    """
    intp = types.intp
    signature = types.void(values, intp, intp, out, intp, intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        v, r = (data(context, builder, signature, args, k) for k in (0, 3))
        place, step, where, stride = args[1], args[2], args[4], args[5]

        edge = LANES if has_avx512() else LANES // 2
        kind = ir.VectorType(ir.FloatType(), edge)

        def line(base: Any, first: Any, stride: Any, n: int, offset: int) -> Any:
            index = builder.add(first, builder.mul(stride, ir.Constant(I64, n)))
            index = builder.add(index, ir.Constant(I64, offset))
            return builder.bitcast(builder.gep(base, [index]), kind.as_pointer())

        for top in range(0, LANES, edge):
            for left in range(0, LANES, edge):
                rows = [builder.load(line(v, place, step, top + n, left), align=4) for n in range(edge)]
                for n, row in enumerate(_transposed(builder, rows)):
                    builder.store(row, line(r, where, stride, left + n, top), align=4)
        return context.get_dummy_value()

    return signature, codegen


@kernel()
def pixel_nibbles(
    bits: Array, first: int, planes: int, height: int, line: int, width: int, out: Array, place: int
) -> None:
    """Nibble (c, y, x): the bits of channel c at the pixels x .. x + 3 of row y of a padded picture.

    Parameters
    ----------
    bits : uint16
        From `first` on flat (planes, H + 2, line); may be read 19 elements beyond the last row's first `width`.
    planes, height, line : int
    width : int
        A multiple of 16. Columns of the picture beyond its own become whatever follows in `bits`.
    out : uint8
        From `place` on (16 * planes, H + 3, 4, width / 4): in a row first the x that are multiples of 4, then those
        with a remainder of 1, and so on, so that the four nibbles of 16 pixels lie together.
    """
    one = np.uint16(8)
    for g in range(planes):
        for y in range(height + 2):
            for x in range(0, width, LANES):
                start = first + (g * (height + 2) + y) * line + x
                a, b, c, d = load(bits, start), load(bits, start + 1), load(bits, start + 2), load(bits, start + 3)
                for j in range(16):
                    shift = np.uint16(j)
                    low = (((a >> shift) << np.uint16(3)) & one) | (((b >> shift) << np.uint16(4)) & np.uint16(16))
                    high = ((c >> shift) << np.uint16(5)) & np.uint16(32)
                    nibbles = low | high | (((d >> shift) << np.uint16(6)) & np.uint16(64))
                    row = place + ((16 * g + j) * (height + 3) + y) * width
                    store_quarters(out, row + x // 4, width // 4, nibbles)


@kernel()
def pixel_tables(
    g: Array, first: int, parts: int, left: int, rows: int, width: int, turned: Array, tables: Array
) -> None:
    """Tables of 16 pixels of one or two rows of g for dW: groups of 4 neighbouring pixels, by channel.

    Parameters
    ----------
    g : float32
        Flat (O, 2, W).
    first, parts : int
        First output channel of the chunk, and its vectors.
    left, rows, width : int
    turned : float32
        Memory (32, 16 * parts) for the same pixels with their channels last; a missing second row is zero.
    tables : float32
        Filled: (parts, 8, 16, 16).
    """
    wide = parts * LANES
    for row in range(ROWS):
        for part in range(0, wide, LANES):
            where = row * LANES * wide + part
            if row < rows:
                transpose16(g, ((first + part) * ROWS + row) * width + left, ROWS * width, turned, where, wide)
            else:
                for pixel in range(LANES):
                    store(turned, where + pixel * wide, splat(np.float32(0)))
    for part in range(parts):
        for q in range(GROUPS):
            signed_sums(turned, 4 * q * wide + part * LANES, wide, tables, (part * GROUPS + q) * TABLE)


@kernel()
def filters_back(
    nibbles: Array, place: int, inputs: int, tables: Array, parts: int, y: int, left: int, height: int, width: int,
    size: int, dw: Array, where: int,
) -> None:  # fmt: skip
    """``dw[i, ky, kx, o] += sum_v g[o, v] x[i, v + (ky, kx) - p]`` over 2 rows of 16 pixels, x = +-1.

    Parameters
    ----------
    nibbles, place
        See `pixel_nibbles`.
    inputs : int
        Input channels.
    tables, parts
        See `pixel_tables`.
    y, left, height, width : int
    size : {1, 3}
    dw : float32
        From `where` on (I, k, k, 16 * parts).
    """
    rows, inside = height + 3, 1 - size // 2  # where the first tap stands in the padded picture
    target = where
    for i in range(inputs):
        for ky in range(size):
            for kx in range(size):
                first = place + (i * rows + y + ky + inside) * width + (kx + inside) * (width // 4) + left // 4
                if parts == 3:
                    a, b, c = _three(tables, nibbles, first, first + width)
                    add_to(dw, target, a)
                    add_to(dw, target + 16, b)
                    add_to(dw, target + 32, c)
                elif parts == 2:
                    a, b = _two(tables, nibbles, first, first + width)
                    add_to(dw, target, a)
                    add_to(dw, target + 16, b)
                else:
                    add_to(dw, target, _one(tables, nibbles, first, first + width)[0])
                target += parts * LANES
