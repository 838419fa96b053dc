"""The float ends of the engine: what stands around the convolutions of head, trunk and tail."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data, load
from npbsrn.kernels.simd import I32, I64, LANES, f32x16, select, splat, u32x16
from npbsrn.packed.pack import TILE

Array = np.ndarray[Any, Any]

COLOURS = 3


@intrinsic
def transpose(typing: Any, x: Any, place: Any, step: Any, count: Any, y: Any, where: Any, stride: Any) -> Any:
    """``y[where + j * stride + i] = x[place + i * step + j]``, of float32; i, j < 16; i from `count` on is the last."""
    i = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        xs, ys = (data(context, builder, signature, args, k) for k in (0, 4))
        vector, last, rows = f32x16.vector, builder.sub(args[3], ir.Constant(I64, 1)), []
        for n in range(LANES):
            nth = ir.Constant(I64, n)
            nth = builder.select(builder.icmp_signed("<", nth, last), nth, last)
            rows.append(builder.load(at(builder, xs, builder.add(args[1], builder.mul(nth, args[2])), vector), align=4))
        for d in (8, 4, 2, 1):  # one binary digit of the row's number changes places with one of the lane's
            low = [lane if not lane & d else LANES + (lane ^ d) for lane in range(LANES)]
            high = [lane | d if not lane & d else LANES + lane for lane in range(LANES)]
            masks = [ir.Constant(ir.VectorType(I32, LANES), mask) for mask in (low, high)]
            pairs = {n: (rows[n & ~d], rows[n | d]) for n in range(LANES)}
            rows = [builder.shuffle_vector(*pairs[n], masks[bool(n & d)]) for n in range(LANES)]
        for n, row in enumerate(rows):
            index = builder.add(args[5], builder.mul(ir.Constant(I64, n), args[6]))
            builder.store(row, at(builder, ys, index, vector), align=4)
        return context.get_dummy_value()

    return types.void(x, i, i, i, y, i, i), codegen


@intrinsic
def store_sample(typing: Any, array: Any, place: Any, vector: Any) -> Any:
    """Store fractions, to uint8 and uint16 as ``floor(x * highest + 0.5)``, rounded twice as NumPy does it."""
    whole: Any = array.dtype if isinstance(array.dtype, types.Integer) else None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[2]
        if whole is not None:
            peak, half = (ir.Constant(f32x16.vector, [x] * LANES) for x in (float(whole.maxval), 0.5))
            value = builder.fadd(builder.fmul(value, peak), half)  # without flags, which would let them be contracted
            value = builder.fptoui(value, u32x16.vector)
            value = builder.trunc(value, ir.VectorType(ir.IntType(whole.bitwidth), LANES))
        pointer = at(builder, data(context, builder, signature, args, 0), args[1], value.type)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@kernel()
def to_stream(y: Array, bias: Array, x: Array, first: int) -> None:
    """The head's result (C or more, R, 16 n) and its bias to the stream (H, T, C * 32), from row `first` on."""
    channels, rows, tiles = len(bias), y.shape[1], x.shape[1]
    for r in range(rows):
        for t in range(tiles):
            for c in range(channels):
                count = min(TILE, y.shape[2] - t * TILE)
                for v in range(count):
                    x[first + r, t, c * TILE + v] = y[c, r, t * TILE + v] + bias[c]
                for v in range(count, TILE):
                    x[first + r, t, c * TILE + v] = 0


@kernel()
def from_stream(x: Array, channels: int, first: int, width: int, image: Array, pixels: Array) -> None:
    """Rows of the stream, from `first` on, as the trunk sees them: channels side by side, then the head's input.

    Parameters
    ----------
    x : (H, T, C * 32) float32
        The stream.
    channels : int
        C.
    first : int
        -1 is the row above the picture.
    width : int
        W.
    image : (3, H + 2, W + 2 or more) float32
        With zeros around it.
    pixels : (R, 32 T + 1 or more, 16 n + 3) float32
        With zeros around the picture, but for channels from C to 16 n, which may be any number.
    """
    height, tiles, size = x.shape
    rows, line, depth = pixels.shape
    stream, out = x.ravel(), pixels.ravel()
    for r in range(rows):
        y = first + r
        if not 0 <= y < height:
            pixels[r] = 0
            continue
        pixels[r, 0] = 0
        for t in range(tiles):
            for v in range(0, TILE, LANES):
                where = (r * line + 1 + t * TILE + v) * depth
                for c in range(0, channels, LANES):
                    place = (y * tiles + t) * size + c * TILE + v
                    transpose(stream, place, TILE, min(channels - c, LANES), out, where + c, depth)
        for v in range(width):
            for c in range(COLOURS):
                pixels[r, 1 + v, depth - COLOURS + c] = image[c, y + 1, 1 + v]
        pixels[r, 1 + width :] = 0


@kernel()
def surround(features: Array, above: int, below: int, width: int, base: Array, first: int) -> None:
    """What the tail sees beside the trunk's result.

    Parameters
    ----------
    features : (above + R + below, W + 4 or more, 16 n + 3) float32
        The trunk's result begins at row `above` and pixel 2. Around it zeros are written, and in the last three
        channels the picture, or zeros.
    above, below : int
        Rows that lie beyond the picture.
    width : int
        W.
    base : (3, H + 4, W + 4) float32
        The picture, padded by mirroring; or empty.
    first : int
        Of the rows of `base`.
    """
    rows, _, depth = features.shape
    features[:above] = 0
    features[rows - below :] = 0
    for r in range(rows):
        features[r, :2] = 0
        features[r, 2 + width :] = 0
        for v in range(width + 4):
            for c in range(COLOURS):
                features[r, v, depth - COLOURS + c] = base[c, first + r, v] if len(base) else 0


@kernel()
def write_pixels(y: Array, scale: int, left: int, out: Array) -> None:
    """Shuffle, clip, and round.

    Parameters
    ----------
    y : (R, W + 1 or more, 16 n) float32
        By phase and colour. Vectors reach over into the pixel behind the last.
    scale : int
        s.
    left : int
        First column of `y` that is wanted.
    out : (R * s, W * s, 3) uint8, uint16 or float32
        1 becomes the highest whole number, rounded halves up.
    """
    rows, line, depth = y.shape
    width, phases, values = out.shape[1] // scale, scale * COLOURS, y.ravel()
    zero, one, spare = splat(np.float32(0)), splat(np.float32(1)), np.empty(LANES, out.dtype)
    whole = width - -(-(LANES - phases) // phases)  # behind which a vector would reach beyond the row's end
    for r in range(rows):
        for a in range(scale):
            row = out[r * scale + a]
            for v in range(width):
                x = load(values, (r * line + left + v) * depth + a * phases)
                x = select(x > zero, x, zero)
                x = select(x < one, x, one)
                if v < whole:
                    store_sample(row, v * phases, x)
                else:
                    store_sample(spare, 0, x)
                    for p in range(phases):
                        row[v * scale + p // COLOURS, p % COLOURS] = spare[p]
