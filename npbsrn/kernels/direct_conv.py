"""Float convolutions by vectors of 16 pixels, without a column matrix and without BLAS.

Forward, and backward to the input, a tile of 16 pixels (in one row or two) by some output channels stays in registers
while all inputs pass by: each step is one load of pixels, and for each output channel one multiply-add with a filter
value that is broadcast. Backward to the filters, some filter taps by 16 output channels stay in registers while all
pixels pass by.
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
from npbsrn.kernels.memory import at, data
from npbsrn.kernels.simd import I64, LANES, broadcast, f32x16, fused_multiply_add, multiply_add

Array = np.ndarray[Any, Any]

# What the registers hold: 32 of 512 bits, or half as many of half the size.
OUTPUTS, MOST_ROWS, MOST_TAPS = (12, 2, 24) if has_avx512() else (6, 1, 6)
# Inputs of the head, whose result decides signs: of so few each step is rounded once, also where that takes long.
FEW = 0 if has_fma() else 3
ZERO = ir.Constant(f32x16.vector, None)


def _slots(builder: Any, count: int) -> list[Any]:
    """Variables for sums; LLVM makes registers of them."""
    return [cgutils.alloca_once_value(builder, ZERO) for _ in range(count)]


def _make_tile(size: int, rows: int, step_of: Callable[..., Any] = multiply_add) -> Callable[..., Any]:
    @intrinsic
    def tile(
        typing: Any, x: Any, place: Any, plane: Any, line: Any, channels: Any, w: Any, first: Any, y: Any, where: Any,
        step: Any, row: Any,
    ) -> Any:  # fmt: skip
        """``y[where + o * step + r * row :+16] = sum_c,ky,kx w[first + ((c, ky, kx), o)] x[place + c * plane + ...]``.

        `line` and `row` lie between the rows of x and y, `plane` between the channels of x, `step` between those of y.
        """
        i = types.intp
        signature = types.void(x, i, i, i, i, w, i, y, i, i, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ws, ys = (data(context, builder, signature, args, k) for k in (0, 5, 7))
            place, plane, line, channels, first, where, step, row = (args[k] for k in (1, 2, 3, 4, 6, 8, 9, 10))
            sums = _slots(builder, rows * OUTPUTS)
            for slot in sums:
                builder.store(ZERO, slot)
            with cgutils.for_range(builder, channels) as c, cgutils.for_range(builder, ir.Constant(I64, size)) as ky:
                source = builder.add(builder.mul(c.index, plane), builder.mul(ky.index, line))
                lines = [
                    builder.add(builder.add(place, source), builder.mul(line, ir.Constant(I64, r))) for r in range(rows)
                ]
                nth = builder.add(builder.mul(c.index, ir.Constant(I64, size)), ky.index)
                taps = builder.add(first, builder.mul(nth, ir.Constant(I64, size * OUTPUTS)))
                for kx in range(size):
                    places = [builder.add(line, ir.Constant(I64, kx)) for line in lines]
                    pixels = [builder.load(at(builder, xs, p, f32x16.vector), align=4) for p in places]
                    for o in range(OUTPUTS):
                        index = builder.add(taps, ir.Constant(I64, kx * OUTPUTS + o))
                        value = broadcast(builder, builder.load(builder.gep(ws, [index])), f32x16)
                        for r in range(rows):
                            slot = sums[r * OUTPUTS + o]
                            builder.store(step_of(builder, pixels[r], value, builder.load(slot)), slot)
            for r in range(rows):
                for o in range(OUTPUTS):
                    offset = builder.add(builder.mul(step, ir.Constant(I64, o)), builder.mul(row, ir.Constant(I64, r)))
                    target = at(builder, ys, builder.add(where, offset), f32x16.vector)
                    builder.store(builder.load(sums[r * OUTPUTS + o]), target, align=4)
            return context.get_dummy_value()

        return signature, codegen

    return tile


# Intrinsics are globals: in a closure they would be part of the key by which Numba keeps a kernel on the disk, and they
# have another one in each process.
_pair3, _single3, _pair5, _single5 = (_make_tile(size, rows) for size in (3, 5) for rows in (MOST_ROWS, 1))
_exact3 = _make_tile(3, 1, fused_multiply_add)


def blocked(w: Array) -> Array:
    """Filters (O, C, k, k) as `correlate` reads them, with zeros for further outputs."""
    o, c, k, _ = w.shape
    blocks = -(-o // OUTPUTS)
    whole = np.zeros((blocks * OUTPUTS, c, k * k), w.dtype)
    whole[:o] = w.reshape(o, c, k * k)
    return np.ascontiguousarray(whole.reshape(blocks, OUTPUTS, c, k * k).transpose(0, 2, 3, 1))


@kernel()
def correlate(padded: Array, w: Array, y: Array, size: int, begin: int, end: int) -> None:
    """Valid correlation, the inputs already padded.

    Parameters
    ----------
    padded : (N, C, H + k - 1, W + k - 1) float32, W a multiple of 16
    w : (B, C, k * k, OUTPUTS) float32
        Filters by blocks of output channels.
    y : (N, B * OUTPUTS, H, W) float32
        Filled from row `begin` to row `end`.
    size : {3, 5}
        k.
    begin, end : int
    """
    n, channels, full, line = padded.shape
    height, width = y.shape[2:]
    blocks = w.shape[0]
    x, filters, out = padded.ravel(), w.ravel(), y.ravel()
    plane, pixels = full * line, height * width
    for s in range(n):
        for top in range(begin, end, MOST_ROWS):
            for left in range(0, width, LANES):
                place = s * channels * plane + top * line + left
                for b in range(blocks):
                    first = b * channels * size * size * OUTPUTS
                    where = (s * blocks + b) * OUTPUTS * pixels + top * width + left
                    both = top + MOST_ROWS <= end
                    if size == 3 and channels <= FEW:  # of a CPU whose registers hold one row
                        _exact3(x, place, plane, line, channels, filters, first, out, where, pixels, width)
                    elif size == 3 and both:
                        _pair3(x, place, plane, line, channels, filters, first, out, where, pixels, width)
                    elif size == 3:
                        _single3(x, place, plane, line, channels, filters, first, out, where, pixels, width)
                    elif both:
                        _pair5(x, place, plane, line, channels, filters, first, out, where, pixels, width)
                    else:
                        _single5(x, place, plane, line, channels, filters, first, out, where, pixels, width)


def _make_taps(size: int, channels: int) -> Callable[..., Any]:
    @intrinsic
    def taps(
        typing: Any, x: Any, place: Any, plane: Any, line: Any, dy: Any, first: Any, step: Any, row: Any, height: Any,
        width: Any, dw: Any, where: Any, gap: Any,
    ) -> Any:  # fmt: skip
        """``dw[where + (c * size * size + kx) * gap :+16] += sum_h,v dy[first + h * row + v * step :+16] x[...]``.

        x is at ``place + c * plane + h * line + v + kx``.
        """
        i = types.intp
        signature = types.void(x, i, i, i, dy, i, i, i, i, i, dw, i, i)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            xs, ds, ws = (data(context, builder, signature, args, k) for k in (0, 4, 10))
            place, plane, line, first, step, row, height, width, where, gap = (
                args[k] for k in (1, 2, 3, 5, 6, 7, 8, 9, 11, 12)
            )
            sums = _slots(builder, channels * size)
            for slot in sums:
                builder.store(ZERO, slot)
            with cgutils.for_range(builder, height) as h:
                source = builder.add(place, builder.mul(h.index, line))
                starts = [builder.add(source, builder.mul(plane, ir.Constant(I64, c))) for c in range(channels)]
                cotangents = builder.add(first, builder.mul(h.index, row))
                with cgutils.for_range(builder, width) as v:
                    index = builder.add(cotangents, builder.mul(v.index, step))
                    d = builder.load(at(builder, ds, index, f32x16.vector), align=4)
                    for c in range(channels):
                        pixel = builder.add(starts[c], v.index)
                        for kx in range(size):
                            value = builder.load(builder.gep(xs, [builder.add(pixel, ir.Constant(I64, kx))]))
                            slot = sums[c * size + kx]
                            new = multiply_add(builder, broadcast(builder, value, f32x16), d, builder.load(slot))
                            builder.store(new, slot)
            for c in range(channels):
                for kx in range(size):
                    offset = builder.mul(gap, ir.Constant(I64, c * size * size + kx))
                    target = at(builder, ws, builder.add(where, offset), f32x16.vector)
                    total = builder.fadd(builder.load(target, align=4), builder.load(sums[c * size + kx]))
                    builder.store(total, target, align=4)
            return context.get_dummy_value()

        return signature, codegen

    return taps


MANY3, MANY5 = MOST_TAPS // 3, max(1, MOST_TAPS // 5)  # input channels at once
_many3, _one3, _many5, _one5 = _make_taps(3, MANY3), _make_taps(3, 1), _make_taps(5, MANY5), _make_taps(5, 1)


@kernel()
def filters(padded: Array, dy: Array, dw: Array) -> None:
    """Add to the filters' cotangent that of some samples, one after another.

    Parameters
    ----------
    padded : (N, C, H + k - 1, W + k - 1) float32
    dy : (N, H, W, O) float32, O a multiple of 16
    dw : (C, k, k, O) float32
        k is 3 or 5.
    """
    n, channels, full, line = padded.shape
    _, height, width, outputs = dy.shape
    size = dw.shape[1]
    many = MANY3 if size == 3 else MANY5
    x, d, out = padded.ravel(), dy.ravel(), dw.ravel()
    plane, row, step = full * line, width * outputs, outputs
    for s in range(n):
        for o in range(0, outputs, LANES):
            first = s * height * row + o
            for ky in range(size):
                c = 0
                while c < channels:
                    place = (s * channels + c) * plane + ky * line
                    where = (c * size + ky) * size * outputs + o
                    fits = c + many <= channels
                    if size == 3 and fits:
                        _many3(x, place, plane, line, d, first, step, row, height, width, out, where, outputs)
                    elif size == 3:
                        _one3(x, place, plane, line, d, first, step, row, height, width, out, where, outputs)
                    elif fits:
                        _many5(x, place, plane, line, d, first, step, row, height, width, out, where, outputs)
                    else:
                        _one5(x, place, plane, line, d, first, step, row, height, width, out, where, outputs)
                    c += many if fits else 1


SIZES = (3, 5)
