"""The transforms of a binary convolution's backward pass by Winograd's filtering, in both directions of the picture.

A tile, 6x6 pixels of the result, and the 8x8 pixels of the input that it sees, have values at 8x8 points, at which the
convolution is a product channel by channel: ``y = A^T ((G w G^T) * (B x B^T)) A`` with the matrices of
`npbsrn.kernels.winograd.transforms`. The backward pass is the transpose of that. With ``P = A^T dy A`` at the points,

    ``dx = B^T (P * (G w G^T)) B``, added where tiles overlap,  ``dw = G^T (P * (B x B^T)) G``.

Both products take 64 multiplications for 36 pixels instead of 324. All values have their channels last: vectors hold 16
of them. In memory, points are a vector more than their values apart, so that they do not meet in one set of a cache.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from npbsrn.kernels.combine import make_combine
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import scalar, store
from npbsrn.kernels.simd import I32, LANES, broadcast, f32x16, splat, u32x16
from npbsrn.kernels.winograd import transforms

STEP = 6  # pixels along the edge of a tile
EDGE = STEP + 2  # points along it
POINTS = EDGE * EDGE
ZERO = np.float32(0)

_output, _filters, _inputs = transforms(3, STEP)
# Intrinsics are globals, see `npbsrn.kernels.counts`.
_from_result, _from_input, _from_filter = make_combine(_output.T), make_combine(_inputs), make_combine(_filters)
_add_to_input, _to_filter = make_combine(_inputs.T, add=EDGE - STEP), make_combine(_filters.T)


@part(forceinline=True)
def apart(values: int) -> int:
    """Numbers from one point to the next, where each has so many values."""
    return values + LANES


@part(forceinline=True)
def row_size(across: int) -> int:
    """Numbers in the workspace for a row of tiles: points along one edge, pixels along the other; and a column."""
    return EDGE * apart(LANES * (STEP * across + 2)) + EDGE * LANES


@intrinsic
def _signs(typing: Any, word: Any) -> Any:
    """+-1 for the bits of a uint16, -1 where one is set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector, one = u32x16.vector, 0x3F800000  # the bits of 1.0, before which the sign is put
        wide = broadcast(builder, builder.zext(args[0], I32), u32x16)
        moved = builder.shl(wide, ir.Constant(vector, [31 - k for k in range(LANES)]))
        sign = builder.and_(moved, ir.Constant(vector, [1 << 31] * LANES))
        return builder.bitcast(builder.or_(sign, ir.Constant(vector, [one] * LANES)), f32x16.vector)

    return f32x16(word), codegen


@part(forceinline=True)
def points_of_result(
    g: Any, width: int, r: int, tiles: tuple[int, int], channels: int, c: int, row: Any, points: Any
) -> None:
    """``A^T dy A`` of row r of a block of tiles, for 16 channels from c on.

    Parameters
    ----------
    g : float32
        Flat (6, W, 16).
    width, r : int
    tiles : (down, across)
    channels, c : int
        C, a multiple of 16, and the first of the 16.
    row : float32
        A workspace, see `row_size`.
    points : float32
        Filled: of 64 points, `apart`, of (down * across, C).
    """
    (down, across), zero = tiles, splat(ZERO)
    gap, line = apart(down * across * channels), apart(LANES * (STEP * across + 2))
    for x in range(width):
        _from_result(g, x * LANES, width * LANES, row, x * LANES, line)
    for x in range(width, STEP * across):
        for a in range(EDGE):
            store(row, a * line + x * LANES, zero)
    for t in range(across):
        for a in range(EDGE):
            source, where = a * line + STEP * t * LANES, (r * across + t) * channels + c
            _from_result(row, source, LANES, points, a * EDGE * gap + where, gap)


@part(forceinline=True)
def points_of_signs(
    bits: Any, first: int, picture: tuple[int, int], top: int, tiles: tuple[int, int], row: Any, points: Any
) -> None:
    """``B x B^T`` of a block of tiles, for 16 channels; x is 0 beyond the padded picture.

    Parameters
    ----------
    bits : uint16
        From `first` on flat (H + 2, W + 2).
    picture : (H + 2, W + 2)
    top : int
        The block's first row in the padded picture.
    tiles : (down, across)
    row : float32
        A workspace, see `row_size`.
    points : float32
        Filled: 64 points, `apart`, of (down * across, 16).
    """
    (down, across), (height, width) = tiles, picture
    gap, line = apart(down * across * LANES), apart(LANES * (STEP * across + 2))
    column = EDGE * line
    for r in range(down):
        for x in range(STEP * across + 2):
            for a in range(EDGE):
                y = top + STEP * r + a
                there = y < height and x < width
                value = _signs(scalar(bits, first + y * width + x)) if there else splat(ZERO)
                store(row, column + a * LANES, value)
            _from_input(row, column, LANES, row, x * LANES, line)
        for t in range(across):
            for a in range(EDGE):
                source, where = a * line + STEP * t * LANES, (r * across + t) * LANES
                _from_input(row, source, LANES, points, a * EDGE * gap + where, gap)


@part(forceinline=True)
def rows_from_points(points: Any, r: int, tiles: tuple[int, int], width: int, row: Any, dx: Any) -> None:
    """``B^T points B`` of row r of a block of tiles, added where tiles overlap, for 16 channels.

    Parameters
    ----------
    points : float32
        64 points, `apart`, of (down * across, 16).
    r : int
    tiles : (down, across)
    width : int
    row : float32
        A workspace, see `row_size`.
    dx : float32
        Flat (8, W, 16): the rows from that above the tiles' first pixels on, without what is beside the picture. The
        first two are added to, since they are the last two of the tiles above; the others are filled.
    """
    down, across = tiles
    gap, line = apart(down * across * LANES), apart(LANES * (STEP * across + 2))
    for a in range(EDGE):
        for x in range(EDGE - STEP):
            store(row, a * line + x * LANES, splat(ZERO))
        for t in range(across):
            source, where = a * EDGE * gap + (r * across + t) * LANES, a * line + STEP * t * LANES
            _add_to_input(points, source, gap, row, where, LANES)
    for x in range(width):
        _add_to_input(row, (x + 1) * LANES, line, dx, x * LANES, width * LANES)


@kernel()
def points_of_filters(w: Any, o: int, outputs: int, c: int, row: Any, points: Any) -> None:
    """``G w G^T`` of the filters of output channel o, for 16 input channels from c on.

    Parameters
    ----------
    w : float32
        Flat (3, 3, 16).
    o, outputs, c : int
    row : float32
        A workspace of ``24 * 16``.
    points : float32
        Of these channels filled: for each 16 input channels 64 points, `apart`, of (O, 16).
    """
    gap = apart(outputs * LANES)
    for kx in range(3):
        _from_filter(w, kx * LANES, 3 * LANES, row, kx * LANES, 3 * LANES)
    for a in range(EDGE):
        where = (c // LANES * POINTS + a * EDGE) * gap + o * LANES
        _from_filter(row, a * 3 * LANES, LANES, points, where, gap)


@part(forceinline=True)
def filters_from_points(points: Any, outputs: int, inputs: int, row: Any, dw: Any) -> None:
    """``G^T points G``: the transpose of `points_of_filters`.

    Parameters
    ----------
    points : float32
        For each 16 input channels 64 points, `apart`, of (O, 16).
    outputs, inputs : int
    row : float32
        A workspace of ``24 * 16``.
    dw : float32
        Flat (O, 3, 3, I), filled.
    """
    gap = apart(outputs * LANES)
    for c in range(0, inputs, LANES):
        for o in range(outputs):
            for a in range(EDGE):
                source = (c // LANES * POINTS + a * EDGE) * gap + o * LANES
                _to_filter(points, source, gap, row, a * 3 * LANES, LANES)
            for kx in range(3):
                _to_filter(row, kx * LANES, 3 * LANES, dw, (o * 9 + kx) * inputs + c, 3 * inputs)
