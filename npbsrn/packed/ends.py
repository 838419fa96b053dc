"""The float ends of the engine: what stands around the convolutions of head, trunk and tail."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.bits import TILE
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import at, data, load
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.simd import LANES, f32x16, select, splat, u32x16

Array = np.ndarray[Any, Any]

COLOURS = 3


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
        With zeros around the picture, and in channels from C to 16 n.
    """
    height, tiles, size = x.shape
    rows, line, depth = pixels.shape
    stream, out, whole = x.ravel(), pixels.ravel(), channels // LANES * LANES
    for r in range(rows):
        y = first + r
        if not 0 <= y < height:
            pixels[r] = 0
            continue
        pixels[r, 0] = 0
        for t in range(tiles):
            for v in range(0, TILE, LANES):
                where = (r * line + 1 + t * TILE + v) * depth
                for c in range(0, whole, LANES):
                    transpose16(stream, (y * tiles + t) * size + c * TILE + v, TILE, out, where + c, depth)
            for v in range(TILE):
                for c in range(whole, depth - COLOURS):  # what is no whole vector of channels
                    pixels[r, 1 + t * TILE + v, c] = x[y, t, c * TILE + v] if c < channels else 0
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
