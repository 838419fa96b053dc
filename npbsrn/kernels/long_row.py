"""Products of signs with floats by tables, on a picture that is taken as one long row: for binary 1x1 convolutions.

The cotangents of the convolution's input and filters, as in `npbsrn.kernels.tables` and `pixel_tables` but for pictures
of any width. A picture with its border is one long row of (H + 2)(W + 2) pixels. The cotangent g of the result lies in
such a row of lines of W + 2, too, with zeros where the border is: no pixel is wasted on a width that is no multiple of
anything. 3x3 filters take fewer operations by Winograd's filtering (`npbsrn.kernels.tile_points`).

A table has the 32 signed sums of five values: a fifth fewer look-ups than with four, for twice the entries, each of
which many filters use. For dX the five are neighbouring output channels; of 16 n channels the last group has n. For dW
they are pixels `GROUPS` apart, so that the indices of `GROUPS` groups are neighbours.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import at, data, load, scalar, store
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.signed_sums import FIVES, add_to, make_look_up, sums_of_five
from npbsrn.kernels.simd import I64, LANES, f32x16, splat

Array = np.ndarray[Any, Any]

GROUPS = 12  # whose tables are made at once
FIVE = 5  # pixels of a group
SPAN = GROUPS * FIVE  # pixels of a block
STEP = GROUPS * LANES  # values between two pixels of a group
MOST = 4  # vectors of output channels whose tables for dX are made at once: 26 KiB


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
                        base = ir.Constant(I64, (begin + byte) * FIVES * 4 // 8)
                        place_in = builder.add(builder.zext(shifted, I64), base)
                        entry = builder.load(at(builder, t, place_in, f32x16.vector), align=4)
                        total = entry if total is None else builder.fadd(total, entry)
                totals.append(total)
            return context.make_tuple(builder, signature.return_type, totals)

        return types.UniTuple(f32x16, sums)(tables, indices, types.intp, types.intp), codegen

    return look_up


_four = _make_look_up(4)  # intrinsics are globals, see `npbsrn.kernels.counts`


@part(forceinline=True)
def index_length(pixels: int, line: int) -> int:
    """Indices of a channel of a padded picture of so many pixels: the last block looks beyond its end."""
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
        place = group * LANES
        a, b, c = load(turned, place), load(turned, place + STEP), load(turned, place + 2 * STEP)
        d, e = load(turned, place + 3 * STEP), load(turned, place + 4 * STEP)
        sums_of_five(a, b, c, d, e, tables, group * FIVES)


@kernel()
def add_products(
    indices: Array, place: int, length: int, inputs: int, tables: Array, p: int, line: int, dw: Array, where: int
) -> None:  # fmt: skip
    """``dw[i, o] += sum_v g[o, v] x[i, v]`` over a block that begins at pixel p.

    Parameters
    ----------
    indices, place, length
        See `pixel_indices`.
    inputs : int
        Input channels, a multiple of 16.
    tables
        See `span_tables`.
    p, line : int
        v is where the picture without its border begins: ``line + 1`` is added here.
    dw : float32
        From `where` on (I, 16).
    """
    target = where
    for i in range(0, inputs, 4):
        a, b, c, d = _four(tables, indices, place + i * length + p + line + 1, length)
        add_to(dw, target, a)
        add_to(dw, target + LANES, b)
        add_to(dw, target + 2 * LANES, c)
        add_to(dw, target + 3 * LANES, d)
        target += 4 * LANES


_inputs4, _inputs7, _inputs10, _inputs13 = (make_look_up(4, groups, table=FIVES) for groups in (4, 7, 10, 13))


@part(forceinline=True)
def _inputs(tables: Array, indices: Array, first: int, vectors: int) -> Any:
    """Sums of four input channels of 1x1 filters."""
    if vectors == 4:
        return _inputs13(tables, indices, first, 0)
    if vectors == 3:
        return _inputs10(tables, indices, first, 0)
    if vectors == 2:
        return _inputs7(tables, indices, first, 0)
    return _inputs4(tables, indices, first, 0)


def chunks_of(outputs: int) -> list[int]:
    """Vectors of the chunks of so many output channels, a multiple of 16: few chunks, of nearly one size."""
    vectors = outputs // LANES
    count = -(-vectors // MOST)
    return [vectors // count + (n < vectors % count) for n in range(count)]


@part(forceinline=True)
def part_of(vectors: int) -> int:
    """Bytes of the indices of four inputs, which are used together, filled up to whole words of 8."""
    return ((3 * vectors + 1) * 4 + 7) // 8 * 8


def chunk_indices(signs: Array) -> Array:
    """Indices of a chunk of output channels (16 n, I), +-1, in the order in which they are used.

    Four input channels, group of five output channels, one of the four.
    """
    outputs, inputs = signs.shape
    groups = 3 * outputs // LANES + 1
    negative = np.zeros((groups * FIVE, inputs), np.uint8)
    negative[:outputs] = signs < 0
    index = np.zeros((groups, inputs), np.uint8)
    for b in range(FIVE):
        index |= negative[b::FIVE] << (3 + b)
    out = np.zeros((inputs // 4, part_of.py_func(outputs // LANES)), np.uint8)
    out[:, : groups * 4] = index.reshape(groups, -1, 4).transpose(1, 0, 2).reshape(len(out), -1)
    return out.ravel()


def filter_indices(signs: Array) -> Array:
    """Indices of filters (O, I), +-1, chunk after chunk; see `chunk_indices`. O is a multiple of 16."""
    ends = np.cumsum([LANES * vectors for vectors in chunks_of(len(signs))])
    return np.concatenate([chunk_indices(own) for own in np.split(signs, ends[:-1])])


@kernel()
def channel_tables(g: Array, place: int, length: int, scale: Array, first: int, vectors: int, tables: Array) -> None:
    """Tables of 16 pixels for dX, of groups of five output channels, each multiplied by its scale.

    Parameters
    ----------
    g : float32
        Flat (O, length); the pixels begin at `place` of channel 0.
    scale : (O,) float32
    first, vectors : int
        First channel of the chunk, and how many times 16.
    tables : float32
        Filled: (3 * vectors + 1, 32, 16).
    """
    start = first * length + place
    for group in range(3 * vectors):
        at, o = start + FIVE * group * length, first + FIVE * group
        a, b = load(g, at) * scalar(scale, o), load(g, at + length) * scalar(scale, o + 1)
        c, d = load(g, at + 2 * length) * scalar(scale, o + 2), load(g, at + 3 * length) * scalar(scale, o + 3)
        sums_of_five(a, b, c, d, load(g, at + 4 * length) * scalar(scale, o + 4), tables, group * FIVES)
    at, o, zero = start + 15 * vectors * length, first + 15 * vectors, splat(np.float32(0))
    a = load(g, at) * scalar(scale, o)
    b = load(g, at + length) * scalar(scale, o + 1) if vectors > 1 else zero
    c = load(g, at + 2 * length) * scalar(scale, o + 2) if vectors > 2 else zero
    d = load(g, at + 3 * length) * scalar(scale, o + 3) if vectors > 3 else zero
    sums_of_five(a, b, c, d, zero, tables, 3 * vectors * FIVES)


@part(forceinline=True)
def _spread(
    tables: Array, indices: Array, first: int, vectors: int, inputs: int, p: int, length: int, out: Array
) -> None:
    """`spread`."""
    part, source = part_of(vectors), first
    for i in range(0, inputs, 4):
        a, b, c, d = _inputs(tables, indices, source, vectors)
        place = i * length + p
        add_to(out, place, a)
        add_to(out, place + length, b)
        add_to(out, place + 2 * length, c)
        add_to(out, place + 3 * length, d)
        source += part


@kernel()
def spread(
    tables: Array, indices: Array, first: int, vectors: int, inputs: int, p: int, length: int, out: Array
) -> None:
    """What 16 pixels of g send through the filters of a chunk: ``out[i, p] += sum_o w[o, i] g[o, p]``.

    Parameters
    ----------
    tables, vectors
        See `channel_tables`.
    indices, first
        See `filter_indices`; the chunk's begin at `first`.
    inputs : int
        Input channels, a multiple of 16.
    p : int
        First pixel.
    length : int
    out : float32
        Flat (I, length).
    """
    # With constants, so that each becomes code of its own: in one loop LLVM shares what they have in common, by jumps.
    if vectors == 4:
        _spread(tables, indices, first, 4, inputs, p, length, out)
    elif vectors == 3:
        _spread(tables, indices, first, 3, inputs, p, length, out)
    elif vectors == 2:
        _spread(tables, indices, first, 2, inputs, p, length, out)
    else:
        _spread(tables, indices, first, 1, inputs, p, length, out)
