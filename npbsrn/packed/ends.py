"""The float ends of the engine: the inputs and outputs of the convolutions of head, trunk and tail."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from npbsrn.kernels.bits import TILE
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import at, data, load, memory, put, scalar, store
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.simd import LANES, f32x16, select, splat, u32x16

Array = np.ndarray[Any, Any]

COLOURS = 3


def _samples(builder: Any, value: Any, dtype: Any) -> Any:
    """Fractions as samples, whole ones by ``floor(x * highest + 0.5)``, rounded twice as NumPy does it."""
    if not isinstance(dtype, types.Integer):
        return value
    whole: Any = dtype
    peak, half = (ir.Constant(f32x16.vector, [x] * LANES) for x in (float(whole.maxval), 0.5))
    value = builder.fadd(builder.fmul(value, peak), half)  # without flags, which would let them be contracted
    value = builder.fptoui(value, u32x16.vector)
    return builder.trunc(value, ir.VectorType(ir.IntType(whole.bitwidth), LANES))


@intrinsic
def store_sample(typing: Any, array: Any, place: Any, vector: Any) -> Any:
    """Store fractions as samples of uint8, uint16 or float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _samples(builder, args[2], array.dtype)
        pointer = at(builder, data(context, builder, signature, args, 0), args[1], value.type)
        builder.store(value, pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@intrinsic
def store_first(typing: Any, array: Any, place: Any, vector: Any, count: Any) -> Any:
    """The same of the first `count` alone."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = _samples(builder, args[2], array.dtype)
        spare = builder.bitcast(cgutils.alloca_once_value(builder, value), value.type.element.as_pointer())
        base = data(context, builder, signature, args, 0)
        with cgutils.for_range(builder, args[3]) as n:
            sample = builder.load(builder.gep(spare, [n.index]))
            builder.store(sample, builder.gep(base, [builder.add(args[1], n.index)]))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), codegen


@kernel()
def to_feature_map(y: Array, bias: Array, x: Array, first: int) -> None:
    """The head's result (C or more, R, 16 n) and its bias to the feature map (H, T, C * 32), from row `first` on."""
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
def from_feature_map(
    x: Array, channels: int, first: int, width: int, lead: int, image: Array, grid: int, pixels: Array
) -> None:
    """Rows of the feature map, from `first` on, as pixels with contiguous channels, followed by the head's input.

    A head of 9x9 is one of 3x3 whose inputs are, for each pixel, those that lie three pixels apart around it: each
    distance from -4 to 4 is ``3 a + b`` with a and b from -1 to 1.

    Parameters
    ----------
    x : (H, T, C * 32) float32
        The feature map.
    channels : int
        C.
    first : int
        -1 is the row above the picture.
    width : int
        W.
    lead : int
        Pixels before the picture.
    image : (3, H + 2 m, W + 2 m or more) float32
        With m zeros around it, 1 for a grid of 1 and 4 for one of 3.
    grid : {0, 1, 3}
        Of how many rows and columns of the head's input a pixel has some; 0 is none at all.
    pixels : (R, lead + 32 T or more, 16 n + 3 * grid * grid or more) float32
        With zeros around the picture, and in channels from C to 16 n. Of further numbers those are written that are
        around the picture. The head's input is there in pixels of the picture and next to it: by row and column of the
        grid, and by colour.
    """
    height, tiles, size = x.shape
    rows, line, depth = pixels.shape
    feature_map, out, images = memory(x), memory(pixels), memory(image)
    (_, down, across), whole, padded = image.shape, channels // LANES * LANES, -(-channels // LANES) * LANES
    for r in range(rows):
        y = first + r
        if 0 <= y < height:
            pixels[r, :lead] = 0
            for t in range(tiles):
                for v in range(0, TILE, LANES):
                    where = (r * line + lead + t * TILE + v) * depth
                    for c in range(0, whole, LANES):
                        transpose16(feature_map, (y * tiles + t) * size + c * TILE + v, TILE, out, where + c, depth)
                for v in range(TILE):
                    for c in range(whole, padded):  # what is no whole vector of channels
                        pixels[r, lead + t * TILE + v, c] = x[y, t, c * TILE + v] if c < channels else 0
            pixels[r, lead + width :] = 0
        else:
            pixels[r] = 0
        if grid > 0:
            where = (r * line + lead - 1) * depth + padded
            _put_grid(images, (y + 1) * across, down * across, across, width, grid, out, where, depth)


@part(forceinline=True)
def _put_grid(
    image: Any, first: int, plane: int, line: int, width: int, grid: int, out: Any, where: int, depth: int
) -> None:
    """The head's input around each pixel of a row, from one before the picture to one behind it."""
    for v in range(width + 2):
        n = where + v * depth
        for a in range(grid):
            for b in range(grid):
                place = first + 3 * a * line + v + 3 * b
                for c in range(COLOURS):
                    put(out, n, scalar(image, place + c * plane))
                    n += 1


@kernel()
def surround(features: Array, above: int, below: int, lead: int, width: int, base: Array, first: int) -> None:
    """Write the tail's further input around and beside the trunk's result.

    Parameters
    ----------
    features : (above + R + below, W + 2 * lead or more, 16 n or 16 n + 3) float32
        The trunk's result begins at row `above` and pixel `lead`. Around it zeros are written, and with a base in the
        last three channels the picture.
    above, below : int
        Rows that lie beyond the picture.
    lead : int
        The tail's reach.
    width : int
        W.
    base : (3, H + 2 * lead, W + 2 * lead) float32
        The picture, padded by mirroring; or empty.
    first : int
        Of the rows of `base`.
    """
    rows, _, depth = features.shape
    features[:above] = 0
    features[rows - below :] = 0
    for r in range(rows):
        features[r, :lead] = 0
        features[r, lead + width :] = 0
        if len(base) > 0:
            for v in range(width + 2 * lead):
                for c in range(COLOURS):
                    features[r, v, depth - COLOURS + c] = base[c, first + r, v]


@kernel()
def rows_from_feature_map(x: Array, first: int, tile: int, width: int, rows: Array) -> None:
    """Some tiles of the feature map's rows, from `first` on, with what stands beside them.

    Parameters
    ----------
    x : (H, T, C * 32 or more) float32
        The feature map.
    first : int
        -1 is the row above the picture.
    tile : int
        The first.
    width : int
        W.
    rows : (R, C, 32 n + 2 m) float32
        From m pixels before the tile on, with zeros around the picture.
    """
    height, tiles, size = x.shape
    count, channels, line = rows.shape
    margin, wide = line % TILE // 2, line // TILE
    feature_map, out = memory(x), memory(rows)
    before, behind, end = tile > 0, tile + wide < tiles, min(margin + width - tile * TILE, line)
    for r in range(count):
        y = first + r
        if not 0 <= y < height:
            rows[r] = 0
            continue
        for c in range(channels):
            place, where = (y * tiles + tile) * size + c * TILE, (r * channels + c) * line + margin
            for t in range(min(wide, tiles - tile)):
                for v in range(0, TILE, LANES):
                    store(out, where + t * TILE + v, load(feature_map, place + t * size + v))
            for j in range(margin):
                left, right = place - size + TILE - margin + j, place + wide * size + j
                put(out, where - margin + j, scalar(feature_map, left) if before else np.float32(0))
                put(out, where + wide * TILE + j, scalar(feature_map, right) if behind else np.float32(0))
            for v in range(end, line):
                rows[r, c, v] = 0


@kernel()
def rows_to_pixels(y: Array, bias: Array, base: Array, first: int, left: int, width: int, pixels: Array) -> None:
    """Add the bias and the picture to rows of colours.

    Parameters
    ----------
    y : (R, 3, L) float32
    bias : (3,) float32
    base : (3, H, W) float32
        The picture; or empty.
    first : int
        Of the rows of `base`.
    left : int
        The first pixel.
    width : int
        W: of pixels behind it nothing is written.
    pixels : (R, W or more, 3) float32
    """
    for r in range(len(y)):
        for v in range(min(y.shape[2], width - left)):
            for c in range(COLOURS):
                value = y[r, c, v] + bias[c]
                pixels[r, left + v, c] = value + base[c, first + r, left + v] if len(base) > 0 else value


@kernel()
def write_pixels(y: Array, scale: int, left: int, out: Array) -> None:
    """Shuffle, clip, and round.

    Parameters
    ----------
    y : (R, W + 1 or more, 3 * s * s or more) float32
        By phase and colour. Vectors reach over the last pixel by 15 numbers at most, which must be there.
    scale : int
        s.
    left : int
        First column of `y` that is wanted.
    out : (R * s, W * s, 3) uint8, uint16 or float32
        1 becomes the highest whole number, rounded halves up.
    """
    rows, line, depth = y.shape
    width, phases, values = out.shape[1] // scale, scale * COLOURS, memory(y)
    zero, one = splat(np.float32(0)), splat(np.float32(1))
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
                    store_first(row, v * phases, x, phases)
