"""The backward pass of a binary 3x3 convolution in training, by Winograd's filtering (`npbsrn.kernels.tile_points`).

A sample is processed in blocks of some rows of tiles. A block's cotangent goes to the points once; there it is
multiplied with the filters for dX and with the signs of the activations for dW, for 16 input channels after another,
or for 32.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.conv_sizes import Sizes
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import ask_to_write, hold, load, memory, put, scalar, store
from npbsrn.kernels.norm_sign import Behind
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.products import MATRICES, multiply
from npbsrn.kernels.signed_sums import aligned
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.statistic import Term, numbers_of, term_back
from npbsrn.kernels.tile_points import (
    EDGE,
    POINTS,
    STEP,
    apart,
    filters_from_points,
    points_of_filters,
    points_of_result,
    points_of_signs,
    row_size,
    rows_from_points,
)  # fmt: skip
from npbsrn.kernels.tile_rows import size_of_kept, take_rows

Array = np.ndarray[Any, Any]

MOST = 28  # tiles of a block, if a row of them has no more: their points and products stay near in the caches
ZERO = np.float32(0)


class Workspace(NamedTuple):
    """Where the parts of one worker's workspace begin; see `workspace_size`."""

    g: int  # (6, W, 16) and 16 more pixels: a row of tiles of 16 channels of the cotangent
    kept: int  # (16, `size_of_kept`): the same, pixels last
    turned: int  # (16, 16)
    points: int  # of a block of tiles
    products: int  # at the points: the signs of `MATRICES` times 16 channels, and then what they get
    row: int  # see `npbsrn.kernels.tile_points.row_size`
    dx: int  # (8, W, 16) and 16 more pixels: a row of tiles of 16 channels, and a row of pixels above and below
    below: int  # (I / 16, 2, W, 16): the last two of these, which are the first two of the next tiles
    dw: int  # (bases, I / 16) times 64 points, `apart`, of (O, 16)
    side: int  # (6, W) and 32 more: see `npbsrn.kernels.statistic.term_back`
    given: int  # (O, `size_of_kept`): a row of tiles of a term's cotangent
    end: int


@kernel()
def _tiles_of(sizes: Sizes) -> tuple[int, int]:
    """Rows and columns of tiles in a block."""
    down, across = (sizes.height + STEP - 1) // STEP, (sizes.width + STEP - 1) // STEP
    return min(down, max(1, MOST // across)), across


@kernel()
def _workspace_for(sizes: Sizes, tiles: tuple[int, int]) -> Workspace:
    count, planes, width = tiles[0] * tiles[1], sizes.inputs // LANES, sizes.width
    kept = (STEP * width + LANES) * LANES
    turned = kept + LANES * size_of_kept(width)
    points = turned + LANES * LANES
    products = points + POINTS * apart(count * sizes.outputs)
    row = products + MATRICES * POINTS * apart(count * LANES)
    dx = row + row_size(tiles[1])
    below = dx + (EDGE * width + LANES) * LANES
    dw = below + planes * (EDGE - STEP) * width * LANES
    side = dw + sizes.bases * planes * POINTS * apart(sizes.outputs * LANES)
    given = side + (STEP * width // LANES + 3) * LANES
    end = given + sizes.outputs * size_of_kept(width)
    return Workspace(0, kept, turned, points, products, row, dx, below, dw, side, given, end)


def workspace_size(sizes: Sizes) -> int:
    """Numbers in the workspace of `backward_samples`."""
    return int(_workspace_for(sizes, _tiles_of(sizes)).end)


@kernel()
def _give_rows(own: Any, first: int, rows: int, c: int, coefs: Any, s: int, sizes: Sizes, turned: Any, dx: Any) -> None:
    """`rows` complete rows of 16 channels, from row `first` of the picture on, to dX (bases, N, I, H, W)."""
    height, width = sizes.height, sizes.width
    begin = max(0, -first)
    count = (min(rows, height - first) - begin) * width
    for left in range(0, count, LANES):
        x = max(0, min(left, count - LANES))
        transpose16(own, (begin * width + x) * LANES, LANES, turned, 0, LANES)
        for j in range(sizes.bases):
            coef = scalar(coefs, j)
            for k in range(LANES):
                where = (((j * sizes.samples + s) * sizes.inputs + c + k) * height + first + begin) * width + x
                if count < LANES:
                    for n in range(count):
                        put(dx, where + n, scalar(turned, k * LANES + n) * coef)
                else:
                    ask_to_write(dx, where + 2 * LANES)
                    store(dx, where, load(turned, k * LANES) * coef)


@part(forceinline=True)
def _copy(source: Any, place: int, out: Any, where: int, count: int) -> None:
    """``out[where :+count] = source[place :+count]``, a multiple of 16."""
    for v in range(0, count, LANES):
        store(out, where + v, load(source, place + v))


@part(forceinline=True)
def _place_of(at: Workspace, tiles: tuple[int, int], n: int) -> int:
    """Where the nth plane of `products` begins."""
    return at.products + n * POINTS * apart(tiles[0] * tiles[1] * LANES)


@part(forceinline=True)
def _filters(
    tiles: tuple[int, int], p: int, nth: int, planes: int, sizes: Sizes, points: Any, products: Any, dw: Any,
    begun: bool,
) -> None:  # fmt: skip
    """At point p: what a block gives to the filters of some planes of input channels; added if `begun`.

    The planes are the `nth` of all bases and those behind it.
    """
    count, gap = tiles[0] * tiles[1], apart(sizes.outputs * LANES)
    near = apart(count * LANES)
    multiply(
        points, p * apart(count * sizes.outputs), 1, sizes.outputs, count, products, p * near, POINTS * near, dw,
        (nth * POINTS + p) * gap, POINTS * gap, sizes.outputs, planes, begun,
    )  # fmt: skip


@part(forceinline=True)
def _inputs(
    tiles: tuple[int, int], p: int, c: int, planes: int, sizes: Sizes, filters: Any, points: Any, products: Any
) -> None:
    """At point p: what a block sends through the filters to some planes of input channels from plane c on."""
    count, gap = tiles[0] * tiles[1], apart(sizes.outputs * LANES)
    near = apart(count * LANES)
    multiply(
        points, p * apart(count * sizes.outputs), sizes.outputs, 1, sizes.outputs, filters, (c * POINTS + p) * gap,
        POINTS * gap, products, p * near, POINTS * near, count, planes, False,
    )  # fmt: skip


@kernel()
def filter_points(signs: Array, scales: Array, c: int, points: Array) -> None:
    """`points_of_filters` of ``sum_i scales[i] signs[i]``, of (M, O) and (M, O, I * 9) float32."""
    (bases, outputs, _), taps = signs.shape, 9
    row, whole = aligned(24 * LANES), aligned(taps * LANES)
    for o in range(outputs):
        for t in range(taps):
            for k in range(LANES):
                at = (c + k) * taps + t
                value = scales[0, o] * signs[0, o, at]
                for i in range(1, bases):
                    value += scales[i, o] * signs[i, o, at]
                whole[t * LANES + k] = value
        points_of_filters(memory(whole), o, outputs, c, memory(row), memory(points))
    hold(row)
    hold(whole)


def size_of_points(outputs: int, inputs: int) -> int:
    """Numbers that `filter_points` fills."""
    return inputs // LANES * POINTS * int(apart.py_func(outputs * LANES))


@kernel()
def backward_samples(
    dy: Array, bits: Array, filters: Array, coefs: Array, sizes: Sizes, dx: Array, dw: Array, sums: Array, y: Array,
    slope: Array, dslope: Array, behind: Behind, term: Term, workspace: Array, low: int, high: int,
) -> None:  # fmt: skip
    """The samples `low` to `high`.

    Parameters
    ----------
    dy : float32
        Flat (N, O, H, W); where BN and signs are still `behind`, the cotangents of these, (J, N, O, H, W); with a
        `term`, empty.
    bits : uint16
        See `npbsrn.kernels.binary_forward.forward_samples`.
    filters : float32
        The sum of all bases, see `filter_points`.
    coefs : (bases,) float32
    sizes : Sizes
    dx : float32
        Flat (bases, N, I, H, W), filled: ``coef_j * dy`` through the filters.
    dw : float32
        Flat (bases, O, 3, 3, I), filled: sums of products of dy and signs.
    sums : (O * 16,) float32
        Added to: dy by channel and lane; left alone where it is empty.
    y : float32
        Like dy: the result behind PReLU. Not used without a slope.
    slope : (O,) float32
        Of PReLU, above 0, or empty.
    dslope : (O * 16,) float32
        Added to, by channel and lane: what the slope gets, times the slope.
    behind : Behind
        Its arrays are empty where dy is that of the result.
    term : Term
        Whose activations are the result; empty where dy is there.
    workspace : float32
        See `workspace_size`.
    low, high : int
    """
    most, planes, rows = _tiles_of(sizes), sizes.inputs // BITS, sizes.height + 2
    at = _workspace_for(sizes, most)
    if low == high:
        workspace[at.dw : at.side] = ZERO
    g, kept, turned = memory(workspace[at.g :]), memory(workspace[at.kept :]), memory(workspace[at.turned :])
    points, products = memory(workspace[at.points :]), memory(workspace[at.products :])
    row, total = memory(workspace[at.row :]), memory(workspace[at.dw :])
    own, below = memory(workspace[at.dx :]), memory(workspace[at.below :])
    bases, overlap = len(behind.offsets), (EDGE - STEP) * sizes.width * LANES
    later = Behind(memory(behind.values), memory(behind.norm), memory(behind.offsets), behind.ste)
    flags, picture = (len(slope) > 0, len(sums) > 0), sizes.width + 2
    side, given = memory(workspace[at.side :]), memory(workspace[at.given :])
    of_term, there = numbers_of(term), term.count > 0
    gap, shape = size_of_kept(sizes.width), (sizes.samples, sizes.outputs, sizes.height * sizes.width)
    for s in range(low, high):
        workspace[at.below : at.dw] = ZERO
        for top in range(0, sizes.height, STEP * most[0]):
            tiles = min(most[0], (sizes.height - top + STEP - 1) // STEP), most[1]
            for r in range(tiles[0]):
                above = top + STEP * r
                if there:
                    count = min(STEP, sizes.height - above) * sizes.width
                    term_back(of_term, shape, s, above * sizes.width, count, side, given, 0, gap, gap)
                for o in range(0, sizes.outputs, LANES):
                    take_rows(
                        given if there else memory(dy), there, memory(y), memory(slope), flags, bases, later, s, above,
                        o, sizes, g, kept, turned, memory(dslope), memory(sums),
                    )  # fmt: skip
                    points_of_result(g, sizes.width, r, tiles, sizes.outputs, o, row, points)
            for c in range(0, planes, MATRICES):
                some = min(MATRICES, planes - c)
                for j in range(sizes.bases):
                    nth = j * planes + c
                    for n in range(some):
                        first = ((j * sizes.samples + s) * planes + c + n) * rows * picture
                        own_points = memory(workspace[_place_of(at, tiles, n) :])
                        points_of_signs(memory(bits), first, (rows, picture), top, tiles, row, own_points)
                    for p in range(POINTS):
                        _filters(tiles, p, nth, some, sizes, points, products, total, s > low or top > 0)
                        if j + 1 == sizes.bases:  # the signs are done with; the block's points are near
                            _inputs(tiles, p, c, some, sizes, memory(filters), points, products)
                for n in range(some):
                    own_points = memory(workspace[_place_of(at, tiles, n) :])
                    for r in range(tiles[0]):
                        above = top + STEP * r
                        _copy(below, (c + n) * overlap, own, 0, overlap)
                        rows_from_points(own_points, r, tiles, sizes.width, row, own)
                        done = STEP if above + STEP < sizes.height else EDGE
                        _give_rows(own, above - 1, done, (c + n) * LANES, memory(coefs), s, sizes, turned, memory(dx))
                        _copy(own, STEP * sizes.width * LANES, below, (c + n) * overlap, overlap)
    for j in range(sizes.bases):
        part = memory(workspace[at.dw + j * planes * POINTS * apart(sizes.outputs * LANES) :])
        filters_from_points(part, sizes.outputs, sizes.inputs, row, memory(dw[j * sizes.outputs * 9 * sizes.inputs :]))
