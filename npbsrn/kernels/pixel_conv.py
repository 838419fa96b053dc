"""Float convolutions of pixels with contiguous channels, by Winograd's minimal filtering along the rows.

Vectors hold 16 channels. A tile, four neighbouring pixels of a row, is transformed into points, at which the
convolution is a matrix product over the input channels and the rows of the filter. A chunk, eight tiles of a row, is
multiplied together with those of some further rows, so that the filters of a point stay in the L1 and L2 caches.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.combine import combination
from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.jit import inlined, kernel, part
from npbsrn.kernels.memory import at, data, memory, scalar
from npbsrn.kernels.simd import I64, LANES, broadcast, f32x16, multiply_add
from npbsrn.kernels.winograd import MOST, SIZES, STEP, Filters, multiplications, transforms
from npbsrn.runtime.buffers import empty

Array = np.ndarray[Any, Any]

TILES = 8  # of a chunk
CHUNK = STEP * TILES  # pixels
STRIP = 9  # rows that are multiplied together
SLACK = LANES  # numbers behind an array's end that a vector may reach over


def _make_combine(matrix: Array) -> Callable[..., Any]:
    @intrinsic
    def combine(typing: Any, x: Any, place: Any, step: Any, y: Any, where: Any, stride: Any, bias: Any, b: Any) -> Any:
        """``y[where + i * stride :+16] = sum_j matrix[i, j] x[place + j * step :+16] + bias[b :+16]``; None is none."""
        i = types.intp
        signature = types.void(x, i, i, y, i, i, bias, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ys = (data(context, builder, signature, args, k) for k in (0, 3))
            values, more = [], None
            for j in range(matrix.shape[1]):
                index = builder.add(args[1], builder.mul(args[2], ir.Constant(I64, j)))
                values.append(builder.load(at(builder, xs, index, f32x16.vector), align=4))
            if bias != types.none:
                base = data(context, builder, signature, args, 6)
                more = builder.load(at(builder, base, args[7], f32x16.vector), align=4)
            for j, row in enumerate(matrix):
                total = combination(builder, values, row)
                total = total if more is None else builder.fadd(total, more)
                index = builder.add(args[4], builder.mul(args[5], ir.Constant(I64, j)))
                builder.store(total, at(builder, ys, index, f32x16.vector), align=4)
            return context.get_dummy_value()

        return signature, codegen

    return combine


def _make_products(rows: int, vectors: int) -> Callable[..., Any]:
    @intrinsic
    def products(
        typing: Any, x: Any, place: Any, step: Any, gap: Any, runs: Any, length: Any, w: Any, first: Any, y: Any,
        where: Any, stride: Any,
    ) -> Any:  # fmt: skip
        """``y[where + r * stride + o] = sum_g,k x[place + r * step + g * gap + k] w[first + ((g, k), o)]``.

        r < rows, o < 16 * vectors, g < runs, k < length: a product of matrices of which a block stays in registers.
        """
        i = types.intp
        signature = types.void(x, i, i, i, i, i, w, i, y, i, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ws, ys = (data(context, builder, signature, args, k) for k in (0, 6, 8))
            place, step, gap, runs, length, first, where, stride = (args[k] for k in (1, 2, 3, 4, 5, 7, 9, 10))
            zero = ir.Constant(f32x16.vector, None)
            sums = [cgutils.alloca_once_value(builder, zero) for _ in range(rows * vectors)]
            for slot in sums:
                builder.store(zero, slot)
            with cgutils.for_range(builder, runs) as g:
                run = builder.add(place, builder.mul(g.index, gap))
                starts = [builder.add(run, builder.mul(step, ir.Constant(I64, r))) for r in range(rows)]
                nth = builder.mul(g.index, length)
                with cgutils.for_range(builder, length) as k:
                    taps = builder.mul(builder.add(nth, k.index), ir.Constant(I64, vectors * LANES))
                    taps = builder.add(first, taps)
                    places = [builder.add(taps, ir.Constant(I64, v * LANES)) for v in range(vectors)]
                    factors = [builder.load(at(builder, ws, p, f32x16.vector), align=4) for p in places]
                    for r in range(rows):
                        value = builder.load(builder.gep(xs, [builder.add(starts[r], k.index)]))
                        value = broadcast(builder, value, f32x16)
                        for v in range(vectors):
                            slot = sums[r * vectors + v]
                            builder.store(multiply_add(builder, value, factors[v], builder.load(slot)), slot)
            for r in range(rows):
                for v in range(vectors):
                    index = builder.add(where, builder.mul(stride, ir.Constant(I64, r)))
                    index = builder.add(index, ir.Constant(I64, v * LANES))
                    builder.store(builder.load(sums[r * vectors + v]), at(builder, ys, index, f32x16.vector), align=4)
            return context.get_dummy_value()

        return signature, codegen

    return products


_spread3, _spread5, _spread7 = (_make_combine(transforms(size)[2]) for size in SIZES)
_gather3, _gather5, _gather7 = (_make_combine(transforms(size)[0]) for size in SIZES)
_points3, _points5, _points7 = (multiplications(size) for size in SIZES)
ROWS = 8 if has_avx512() else 6  # with MOST vectors, what the registers hold: 32 of 512 bits, or 16 of 256
_many1, _many2, _many3 = (_make_products(ROWS, vectors) for vectors in (1, 2, 3))
_one1, _one2, _one3 = (_make_products(1, vectors) for vectors in (1, 2, 3))


@part(forceinline=True)
def _multiply(
    x: Any, place: int, step: int, gap: int, runs: int, length: int, w: Any, first: int, vectors: int, y: Any,
    where: int, stride: int, rows: int,
) -> None:  # fmt: skip
    """Product of matrices, for one group of output channels.

    ``y[where + r * stride + o] = sum_g,k x[place + r * step + g * gap + k] w[first + ((g, k), o)]``, for r < rows,
    o < 16 * vectors, g < runs, k < length. Each sum has the same order, whatever the rows.
    """
    many, r = rows >= ROWS, 0
    while r < rows:
        if many:
            r = min(r, rows - ROWS)  # the last ones may be done twice
        p, q = place + r * step, where + r * stride
        if vectors == 1 and many:
            _many1(x, p, step, gap, runs, length, w, first, y, q, stride)
        elif vectors == 1:
            _one1(x, p, step, gap, runs, length, w, first, y, q, stride)
        elif vectors == 2 and many:
            _many2(x, p, step, gap, runs, length, w, first, y, q, stride)
        elif vectors == 2:
            _one2(x, p, step, gap, runs, length, w, first, y, q, stride)
        elif many:
            _many3(x, p, step, gap, runs, length, w, first, y, q, stride)
        else:
            _one3(x, p, step, gap, runs, length, w, first, y, q, stride)
        r += ROWS if many else 1


@part(forceinline=True)
def _spread(pixels: Any, shape: tuple[int, int, int], left: int, size: int, values: Any) -> None:
    """``B x`` of all rows of a chunk that begins at pixel `left`: (points, rows * TILES * C + SLACK)."""
    rows, line, channels = shape
    point = rows * TILES * channels + SLACK
    # A pixel's last vector reaches over into what follows, which is written afterwards.
    for y in range(rows):
        for tile in range(TILES):
            place = (y * line + left + tile * STEP) * channels
            where = (y * TILES + tile) * channels
            for c in range(0, channels, LANES):
                if size == 3:
                    _spread3(pixels, place + c, channels, values, where + c, point, None, 0)
                elif size == 5:
                    _spread5(pixels, place + c, channels, values, where + c, point, None, 0)
                else:
                    _spread7(pixels, place + c, channels, values, where + c, point, None, 0)


@part(forceinline=True)
def _gather(
    sums: Any, vectors: int, size: int, bias: Any, o: int, out: Any, where: int, line: int, pixel: int, rows: int
) -> None:
    """``A sums + bias`` of some rows of a chunk; in `out` it is `line` numbers from row to row, `pixel` to a pixel."""
    wide = vectors * LANES
    point = STRIP * TILES * wide
    for r in range(rows):
        for tile in range(TILES):
            for v in range(0, wide, LANES):
                place, target = (r * TILES + tile) * wide + v, where + r * line + tile * STEP * pixel + v
                if size == 3:
                    _gather3(sums, place, point, out, target, pixel, bias, o + v)
                elif size == 5:
                    _gather5(sums, place, point, out, target, pixel, bias, o + v)
                else:
                    _gather7(sums, place, point, out, target, pixel, bias, o + v)


@inlined
def _points(size: int) -> int:
    """As `npbsrn.kernels.winograd.multiplications`."""
    return _points3 if size == 3 else _points5 if size == 5 else _points7


def workspace_size(rows: int, channels: int, size: int) -> int:
    """Numbers in the workspace of `convolve`, for x of so many rows and channels."""
    return multiplications(size) * (TILES * (rows * channels + STRIP * MOST * LANES) + SLACK)


def workspace_for(rows: int, channels: int, size: int) -> Array:
    """Workspace of `convolve`."""
    return empty((workspace_size(rows, channels, size),), np.float32)


@kernel()
def convolve(x: Array, w: Filters, bias: Array, size: int, y: Array, first: int, workspace: Array) -> None:
    """Valid correlation of rows of pixels.

    Parameters
    ----------
    x : (R + k - 1, L, C) float32
        Behind the last pixel that a chunk looks at there are 15 more numbers in memory at least: vectors reach so far.
    w : Filters
        See `transformed`.
    bias : (O,) float32
        O is a multiple of 16.
    size : {3, 5, 7}
        k.
    y : (R, M, O or more) float32
        Filled from pixel `first` on, by chunks of 32 pixels, as many as there is room for.
    first : int
    workspace : array of float32
        See `workspace_for`.
    """
    (rows, width, pixel), (lines, _, channels) = y.shape, x.shape
    points, outputs, length, values = _points(size), len(bias), size * channels, lines * TILES * channels + SLACK
    pixels, filters, biases, out, wanted = memory(x), memory(w.values), memory(bias), memory(y), memory(w.rows)
    spread, sums, line = memory(workspace), memory(workspace[points * values :]), TILES * channels
    for left in range(0, (width - first) // CHUNK * CHUNK, CHUNK):
        _spread(pixels, x.shape, left, size, spread)
        for top in range(0, rows, STRIP):
            count = min(STRIP, rows - top)
            for o in range(0, outputs, MOST * LANES):
                vectors, group = min(outputs - o, MOST * LANES) // LANES, o // (MOST * LANES)
                wide, low, high = vectors * LANES, scalar(wanted, 2 * group), scalar(wanted, 2 * group + 1)
                for p in range(points):
                    _multiply(
                        spread, p * values + (top + low) * line, channels, line, high - low, channels, filters,
                        (o * points + p * wide) * length + low * channels * wide, vectors, sums,
                        p * STRIP * TILES * wide, wide, count * TILES,
                    )  # fmt: skip
                where = (top * width + first + left) * pixel + o
                _gather(sums, vectors, size, biases, o, out, where, width * pixel, pixel, count)


@kernel()
def convolve_column(x: Array, w: Array, bias: Array, size: int, y: Array, column: int) -> None:
    """Valid correlation at one pixel of each row, by filters as they are; see `convolve`.

    Parameters
    ----------
    x : (R + k - 1, L, C) float32
    w : array of float32
        See `plain`.
    bias : (O,) float32
    size : int
        k.
    y : (R, M, O or more) float32
    column : int
        Where y is written.
    """
    _, line, channels = x.shape
    _, width, depth = y.shape
    pixels, filters, out, outputs, length = memory(x), memory(w), memory(y), len(bias), size * channels
    gap = line * channels
    for o in range(0, outputs, MOST * LANES):
        vectors, where = min(outputs - o, MOST * LANES) // LANES, column * depth + o
        _multiply(
            pixels, column * channels, gap, gap, size, length, filters, o * size * length, vectors, out, where,
            width * depth, len(y),
        )  # fmt: skip
    for r in range(len(y)):
        for o in range(outputs):
            y[r, column, o] += bias[o]
