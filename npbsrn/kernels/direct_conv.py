"""Float convolutions on vectors of 16 pixels, without a column matrix and without BLAS, for filters of any odd size.

In the forward pass, and backward to the input, a tile of 16 pixels (in several rows) by some output channels stays in
registers while the kernel loops over all inputs. Each step loads pixels once per row; for each output channel it
broadcasts one filter value and does one multiply-add per row. With three outputs or fewer, as in the last convolution
of a network, the tile has more rows instead. Backward to the filters, some filter taps by 16 output channels stay in
registers while the kernel loops over all pixels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.cpu import has_avx512, has_fma
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data, memory
from npbsrn.kernels.simd import I64, LANES, broadcast, f32x16, fused_multiply_add, multiply_add

Array = np.ndarray[Any, Any]

# What the registers hold: 32 of 512 bits, or half as many of half the size.
OUTPUTS, MOST_ROWS = (12, 2) if has_avx512() else (6, 1)
FEW_OUTPUTS, FEW_ROWS = 3, OUTPUTS // 3
LINES2, LINES3 = (6, 8) if has_avx512() else (3, 2)  # of filters, of which two or three taps are held
STRIP = 4 * LANES  # pixels of a row that a block of filters serves before the next one
# Inputs of the head, whose result decides signs: of so few each step is rounded once, also where that takes long.
EXACT = 0 if has_fma() else 3
ZERO = ir.Constant(f32x16.vector, None)


def _number(value: int) -> Any:
    return ir.Constant(I64, value)


def _slots(builder: Any, count: int) -> list[Any]:
    """Variables for sums, 0 at first; LLVM makes registers of them."""
    slots = [cgutils.alloca_once_value(builder, ZERO) for _ in range(count)]
    for slot in slots:
        builder.store(ZERO, slot)
    return slots


def _make_tile(outputs: int, rows: int, shared: int, step_of: Callable[..., Any] = multiply_add) -> Callable[..., Any]:
    """A tile of some outputs by some rows, of which so many share a filter value that is loaded.

    The others have their own: one that is held for all rows would not fit into 16 registers beside their pixels.
    """

    @intrinsic
    def tile(
        typing: Any, x: Any, place: Any, plane: Any, line: Any, channels: Any, size: Any, w: Any, first: Any, y: Any,
        where: Any, step: Any, row: Any,
    ) -> Any:  # fmt: skip
        """``y[where + o * step + r * row :+16] = sum_c,ky,kx w[first + ((c, ky, kx), o)] x[place + c * plane + ...]``.

        `line` and `row` lie between the rows of x and y, `plane` between the channels of x, `step` between those of y.
        """
        i = types.intp
        signature = types.void(x, i, i, i, i, i, w, i, y, i, i, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ws, ys = (data(context, builder, signature, args, k) for k in (0, 6, 8))
            place, plane, line, channels, size, first, where, step, row = (
                args[k] for k in (1, 2, 3, 4, 5, 7, 9, 10, 11)
            )
            sums = _slots(builder, rows * outputs)
            with cgutils.for_range(builder, channels) as c, cgutils.for_range(builder, size) as ky:
                source = builder.add(builder.mul(c.index, plane), builder.mul(ky.index, line))
                start = builder.add(place, source)
                lines = [builder.add(start, builder.mul(line, _number(r))) for r in range(rows)]
                nth = builder.mul(builder.add(builder.mul(c.index, size), ky.index), size)
                with cgutils.for_range(builder, size) as kx:
                    taps = builder.add(first, builder.mul(builder.add(nth, kx.index), _number(OUTPUTS)))
                    places = [builder.add(start, kx.index) for start in lines]
                    for group in range(0, rows, shared):
                        own = (at(builder, xs, p, f32x16.vector) for p in places[group : group + shared])
                        pixels = [builder.load(p, align=4) for p in own]
                        for o in range(outputs):
                            value = builder.load(builder.gep(ws, [builder.add(taps, _number(group * outputs + o))]))
                            value = broadcast(builder, value, f32x16)
                            for r, pixel in enumerate(pixels, group):
                                slot = sums[r * outputs + o]
                                builder.store(step_of(builder, pixel, value, builder.load(slot)), slot)
            for r in range(rows):
                for o in range(outputs):
                    offset = builder.add(builder.mul(step, _number(o)), builder.mul(row, _number(r)))
                    target = at(builder, ys, builder.add(where, offset), f32x16.vector)
                    builder.store(builder.load(sums[r * outputs + o]), target, align=4)
            return context.get_dummy_value()

        return signature, codegen

    return tile


# Intrinsics are globals: in a closure they would be part of the key by which Numba keeps a kernel on the disk, and they
# have another one in each process.
_many, _single = _make_tile(OUTPUTS, MOST_ROWS, MOST_ROWS), _make_tile(OUTPUTS, 1, 1)
_few_many, _few_single = _make_tile(FEW_OUTPUTS, FEW_ROWS, 1), _make_tile(FEW_OUTPUTS, 1, 1)
_exact = _make_tile(OUTPUTS, 1, 1, fused_multiply_add)


def computed(outputs: int, channels: int) -> int:
    """How many output channels `correlate` computes where so many are wanted."""
    return FEW_OUTPUTS if outputs <= FEW_OUTPUTS and channels > EXACT else -(-outputs // OUTPUTS) * OUTPUTS


def blocked(w: Array) -> Array:
    """Filters (O, C, k, k) as `correlate` reads them, with zeros for further outputs: (B, C, k * k, OUTPUTS).

    Few outputs are there once for each row of a tile.
    """
    o, c, k, _ = w.shape
    whole = np.zeros((computed(o, c), c, k * k), w.dtype)
    whole[:o] = w.reshape(o, c, k * k)
    if len(whole) == FEW_OUTPUTS:
        whole = np.tile(whole, (FEW_ROWS, 1, 1))
    return np.ascontiguousarray(whole.reshape(-1, OUTPUTS, c, k * k).transpose(0, 2, 3, 1))


@kernel()
def correlate(padded: Array, w: Array, y: Array, size: int, begin: int, end: int) -> None:
    """Valid correlation, the inputs already padded.

    Each result is one sum: channel after channel, in each row after row, in each tap after tap.

    Parameters
    ----------
    padded : (N, C, H + k - 1, W + k - 1) float32, W a multiple of 16
    w : (B, C, k * k, OUTPUTS) float32
        See `blocked`.
    y : (N, O, H, W) float32
        Filled from row `begin` to row `end`. O is what `computed` says.
    size : int
        k.
    begin, end : int
    """
    n, channels, full, line = padded.shape
    _, outputs, height, width = y.shape
    x, filters, out, blocks = memory(padded), memory(w), memory(y), len(w)
    plane, pixels, taps = full * line, height * width, channels * size * size * OUTPUTS
    few = outputs == FEW_OUTPUTS
    rows = FEW_ROWS if few else MOST_ROWS
    for s in range(n):
        top = begin
        while top < end:
            whole = top + rows <= end and (few or channels > EXACT)
            # A block's filters come from the second cache or the third: they serve some tiles, whose pixels stay near.
            for nth in range(-(-width // STRIP) * blocks):
                strip, b = nth // blocks * STRIP, nth % blocks
                for left in range(strip, min(strip + STRIP, width), LANES):
                    place = s * channels * plane + top * line + left
                    first, where = b * taps, (s * outputs + b * OUTPUTS) * pixels + top * width + left
                    if few and whole:
                        _few_many(x, place, plane, line, channels, size, filters, first, out, where, pixels, width)
                    elif few:
                        _few_single(x, place, plane, line, channels, size, filters, first, out, where, pixels, width)
                    elif whole:
                        _many(x, place, plane, line, channels, size, filters, first, out, where, pixels, width)
                    elif channels > EXACT:
                        _single(x, place, plane, line, channels, size, filters, first, out, where, pixels, width)
                    else:
                        _exact(x, place, plane, line, channels, size, filters, first, out, where, pixels, width)
            top += rows if whole else 1


@kernel()
def correlate_few(rows: Array, w: Array, y: Array, size: int) -> None:
    """As `correlate`, of rows with their channels one after another, to few outputs.

    Parameters
    ----------
    rows : (H + k - 1, C, W + k - 1) float32, W a multiple of 16
    w : (1, C, k * k, OUTPUTS) float32
        See `blocked`.
    y : (H, 3, W) float32
    size : int
        k.
    """
    _, channels, line = rows.shape
    height, outputs, width = y.shape
    x, filters, out = memory(rows), memory(w), memory(y)
    top, down = 0, channels * line
    while top < height:
        whole = top + FEW_ROWS <= height
        for left in range(0, width, LANES):
            place, where, row = top * down + left, top * outputs * width + left, outputs * width
            if whole:
                _few_many(x, place, line, down, channels, size, filters, 0, out, where, width, row)
            else:
                _few_single(x, place, line, down, channels, size, filters, 0, out, where, width, row)
        top += FEW_ROWS if whole else 1


def _make_taps(lines: int, run: int) -> Callable[..., Any]:
    @intrinsic
    def taps(
        typing: Any, x: Any, place: Any, plane: Any, line: Any, nth: Any, size: Any, kx: Any, dy: Any, first: Any,
        height: Any, width: Any, dw: Any, where: Any, gap: Any,
    ) -> Any:  # fmt: skip
        """``dw[where + (n * size + kx + j) * gap :+16] += sum_h,v dy[first + (h * width + v) * 16 :+16] x[...]``.

        n is each of `lines` lines of filters from `nth` on, counted by channel and row, j < run; x is at ``place + c *
        plane + (h + ky) * line + v + kx + j``.
        """
        i = types.intp
        signature = types.void(x, i, i, i, i, i, i, dy, i, i, i, dw, i, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ds, ws = (data(context, builder, signature, args, k) for k in (0, 7, 11))
            place, plane, line, nth, size, kx, first, height, width, where, gap = (
                args[k] for k in (1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 13)
            )
            sums = _slots(builder, lines * run)
            filters = [builder.add(nth, _number(n)) for n in range(lines)]
            starts = []
            for n in filters:
                c, ky = builder.udiv(n, size), builder.urem(n, size)
                source = builder.add(builder.mul(c, plane), builder.mul(ky, line))
                starts.append(builder.add(builder.add(place, kx), source))
            with cgutils.for_range(builder, height) as h:
                down = builder.mul(h.index, line)
                rows = [builder.add(start, down) for start in starts]
                cotangents = builder.add(first, builder.mul(builder.mul(h.index, width), _number(LANES)))
                with cgutils.for_range(builder, width) as v:
                    index = builder.add(cotangents, builder.mul(v.index, _number(LANES)))
                    d = builder.load(at(builder, ds, index, f32x16.vector), align=4)
                    for n in range(lines):
                        pixel = builder.add(rows[n], v.index)
                        for j in range(run):
                            value = builder.load(builder.gep(xs, [builder.add(pixel, _number(j))]))
                            slot = sums[n * run + j]
                            new = multiply_add(builder, broadcast(builder, value, f32x16), d, builder.load(slot))
                            builder.store(new, slot)
            for n in range(lines):
                for j in range(run):
                    tap = builder.add(builder.mul(filters[n], size), builder.add(kx, _number(j)))
                    target = at(builder, ws, builder.add(where, builder.mul(tap, gap)), f32x16.vector)
                    total = builder.fadd(builder.load(target, align=4), builder.load(sums[n * run + j]))
                    builder.store(total, target, align=4)
            return context.get_dummy_value()

        return signature, codegen

    return taps


_many2, _many3, _one2, _one3 = (_make_taps(*lines) for lines in ((LINES2, 2), (LINES3, 3), (1, 2), (1, 3)))


@kernel()
def filters(padded: Array, dy: Array, dw: Array) -> None:
    """Add to the filters' cotangent that of some samples, one after another.

    Parameters
    ----------
    padded : (N, C, H + k - 1, W + k - 1 or more) float32
    dy : (N, G, H, W, 16) float32
        By groups of 16 outputs.
    dw : (C, k, k, G * 16) float32
        k is odd, and not 1.
    """
    n, channels, full, line = padded.shape
    _, groups, height, width, _ = dy.shape
    size, gap, plane, total = dw.shape[1], groups * LANES, full * line, channels * dw.shape[1]
    x, d, out = padded.ravel(), dy.ravel(), dw.ravel()
    for s in range(n):
        place = s * channels * plane
        for g in range(groups):
            first, where = (s * groups + g) * height * width * LANES, g * LANES
            kx = 0
            while kx < size:
                run = 2 if size - kx == 2 or size - kx == 4 else 3  # 3, 3 + 2, 3 + 2 + 2, 3 + 3 + 3, ...
                many, nth = LINES2 if run == 2 else LINES3, 0
                while nth < total:
                    fits = nth + many <= total
                    if run == 3 and fits:
                        _many3(x, place, plane, line, nth, size, kx, d, first, height, width, out, where, gap)
                    elif run == 3:
                        _one3(x, place, plane, line, nth, size, kx, d, first, height, width, out, where, gap)
                    elif fits:
                        _many2(x, place, plane, line, nth, size, kx, d, first, height, width, out, where, gap)
                    else:
                        _one2(x, place, plane, line, nth, size, kx, d, first, height, width, out, where, gap)
                    nth += many if fits else 1
                kx += run
