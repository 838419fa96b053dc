"""The backward pass of a binary 3x3 convolution in training, by Winograd's filtering (`npbsrn.kernels.tile_points`).

A sample is processed in blocks of some rows of tiles. A block's cotangent goes to the points once; there it is
multiplied with the filters for dX and with the signs of the activations for dW, for 16 input channels after another.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.conv_sizes import Sizes
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import hold, load, memory, put, scalar, store
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.prelu import through_prelu
from npbsrn.kernels.products import multiply
from npbsrn.kernels.signed_sums import add_to, aligned
from npbsrn.kernels.simd import LANES, splat
from npbsrn.kernels.tile_points import (
    POINTS,
    STEP,
    add_from_points,
    apart,
    filters_from_points,
    points_of_filters,
    points_of_result,
    points_of_signs,
    row_size,
)  # fmt: skip

Array = np.ndarray[Any, Any]

MOST = 28  # tiles of a block, if a row of them has no more: their points and products stay near in the caches
ZERO = np.float32(0)


class Workspace(NamedTuple):
    """Where the parts of one worker's workspace begin; see `workspace_size`."""

    g: int  # (6 * down, 6 * across, O) and 16 more pixels: a block of the cotangent
    turned: int  # (16, 16): some of it, pixels last
    lanes: int  # 16 zeros and 16 ones
    points: int  # of g
    products: int  # at the points: the signs of 16 channels, and then what they get
    row: int  # see `npbsrn.kernels.tile_points.row_size`
    dx: int  # (I / 16, 6 * down + 2, 6 * across + 2, 16); of narrow pictures more is read
    dw: int  # (bases, I / 16) times 64 points, `apart`, of (O, 16)
    end: int


@kernel()
def _tiles_of(sizes: Sizes) -> tuple[int, int]:
    """Rows and columns of tiles in a block."""
    down, across = (sizes.height + STEP - 1) // STEP, (sizes.width + STEP - 1) // STEP
    return min(down, max(1, MOST // across)), across


@part(forceinline=True)
def _size_of_dx(tiles: tuple[int, int]) -> int:
    return (STEP * tiles[0] + 2) * (STEP * tiles[1] + 2) * LANES


@kernel()
def _workspace_for(sizes: Sizes, tiles: tuple[int, int]) -> Workspace:
    count, planes = tiles[0] * tiles[1], sizes.inputs // LANES
    turned = (STEP * STEP * count + LANES) * sizes.outputs
    lanes = turned + LANES * LANES
    points = lanes + 2 * LANES
    products = points + POINTS * apart(count * sizes.outputs)
    row = products + POINTS * apart(count * LANES)
    dx = row + row_size(tiles[1])
    dw = dx + planes * _size_of_dx(tiles) + LANES * (LANES + 2)
    end = dw + sizes.bases * planes * POINTS * apart(sizes.outputs * LANES)
    return Workspace(0, turned, lanes, points, products, row, dx, dw, end)


def workspace_size(sizes: Sizes) -> int:
    """Numbers in the workspace of `backward_samples`."""
    return int(_workspace_for(sizes, _tiles_of(sizes)).end)


@part(forceinline=True)
def _narrow(source: Any, place: int, width: int, out: Any, where: int) -> None:
    """``out[where :+16] = source[place :+width]``, and zeros."""
    store(out, where, splat(ZERO))
    for x in range(width):
        put(out, where + x, scalar(source, place + x))


@kernel()
def _take_pixels(
    dy: Any, y: Any, slope: Any, flags: tuple[bool, bool], place: int, plane: int, o: int, count: int, width: int,
    turned: Any, lanes: Any, dslope: Any, sums: Any,
) -> None:  # fmt: skip
    """16 pixels of 16 channels from `o` on, of which the last `count` have not been summed yet; see `_take_rows`."""
    activated, summed = flags
    for c in range(LANES):
        source = place + c * plane
        if width < LANES:
            _narrow(dy, source, width, turned, c * LANES)
            d = load(turned, c * LANES)
        else:
            d = load(dy, source)
        if activated:
            if width < LANES:
                _narrow(y, source, width, turned, c * LANES)
                d, due = through_prelu(d, load(turned, c * LANES), scalar(slope, o + c))
            else:
                d, due = through_prelu(d, load(y, source), scalar(slope, o + c))
            add_to(dslope, (o + c) * LANES, due * load(lanes, count))
        if summed:
            add_to(sums, (o + c) * LANES, d * load(lanes, count))
        store(turned, c * LANES, d)


@kernel()
def _take_rows(
    dy: Any, y: Any, slope: Any, flags: tuple[bool, bool], s: int, top: int, tiles: tuple[int, int], sizes: Sizes,
    g: Any, turned: Any, lanes: Any, dslope: Any, sums: Any,
) -> None:  # fmt: skip
    """A block of the cotangent from row `top` on, channels last, zeros behind its end; through PReLU if `activated`.

    Pixels and rows beyond the picture are zero in g. Columns are so from the start: what is written there are zeros.
    """
    height, width, outputs = sizes.height, sizes.width, sizes.outputs
    line, plane = STEP * tiles[1], height * width
    for v in range(STEP * tiles[0]):
        if top + v >= height:
            for p in range(v * line * outputs, (v + 1) * line * outputs, LANES):
                store(g, p, splat(ZERO))
            continue
        for o in range(0, outputs, LANES):
            start = (s * outputs + o) * plane + (top + v) * width
            for left in range(0, width, LANES):
                x = max(0, min(left, width - LANES))  # the last pixels overlap those before them
                count = min(LANES, width - left) if width >= LANES else LANES
                _take_pixels(
                    dy, y, slope, flags, start + x, plane, o, count, width, turned, lanes, dslope, sums
                )  # fmt: skip
                transpose16(turned, 0, LANES, g, (v * line + x) * outputs + o, outputs)


@kernel()
def _give_rows(
    own: Any, first: int, rows: int, c: int, coefs: Any, s: int, line: int, sizes: Sizes, turned: Any, dx: Any
) -> None:
    """`rows` complete rows of 16 channels, of which the first is row `first` of the picture, to dX (bases, N, I, H, W).

    `own` has the picture's border, too.
    """
    height, width = sizes.height, sizes.width
    for r in range(max(0, -first), min(rows, height - first)):
        for left in range(0, width, LANES):
            x = max(0, min(left, width - LANES))
            transpose16(own, (r * line + x + 1) * LANES, LANES, turned, 0, LANES)
            for j in range(sizes.bases):
                coef = scalar(coefs, j)
                for k in range(LANES):
                    where = (((j * sizes.samples + s) * sizes.inputs + c + k) * height + first + r) * width + x
                    if width < LANES:
                        for n in range(width):
                            put(dx, where + n, scalar(turned, k * LANES + n) * coef)
                    else:
                        store(dx, where, load(turned, k * LANES) * coef)


@kernel()
def _keep_rows(own: Any, tiles: tuple[int, int]) -> None:
    """The last two rows of a block are the first of the next one; the others begin with zeros."""
    line = (STEP * tiles[1] + 2) * LANES
    for p in range(0, 2 * line, LANES):
        store(own, p, load(own, STEP * tiles[0] * line + p))
    for p in range(2 * line, (STEP * tiles[0] + 2) * line, LANES):
        store(own, p, splat(ZERO))


@part(forceinline=True)
def _inputs(tiles: tuple[int, int], c: int, sizes: Sizes, filters: Any, points: Any, products: Any) -> None:
    """At each point: what a block sends through the filters to 16 input channels from `c` on."""
    count, gap = tiles[0] * tiles[1], apart(sizes.outputs * LANES)
    for p in range(POINTS):
        multiply(
            points, p * apart(count * sizes.outputs), sizes.outputs, 1, sizes.outputs, filters,
            (c // LANES * POINTS + p) * gap, products, p * apart(count * LANES), count, False,
        )  # fmt: skip


@part(forceinline=True)
def _filters(tiles: tuple[int, int], nth: int, sizes: Sizes, points: Any, products: Any, dw: Any) -> None:
    """At each point: add what a block gives to the filters of 16 input channels, the `nth` of all bases."""
    count, gap = tiles[0] * tiles[1], apart(sizes.outputs * LANES)
    for p in range(POINTS):
        multiply(
            points, p * apart(count * sizes.outputs), 1, sizes.outputs, count, products, p * apart(count * LANES), dw,
            (nth * POINTS + p) * gap, sizes.outputs, True,
        )  # fmt: skip


@kernel()
def filter_points(w: Array, points: Array) -> None:
    """`points_of_filters` of (O, 3, 3, I) float32."""
    row = aligned(24 * LANES)
    points_of_filters(memory(w), w.shape[0], w.shape[3], memory(row), memory(points))
    hold(row)


def size_of_points(outputs: int, inputs: int) -> int:
    """Numbers that `filter_points` fills."""
    return inputs // LANES * POINTS * int(apart.py_func(outputs * LANES))


@kernel()
def backward_samples(
    dy: Array, bits: Array, filters: Array, coefs: Array, sizes: Sizes, dx: Array, dw: Array, sums: Array, y: Array,
    slope: Array, dslope: Array, workspace: Array, low: int, high: int,
) -> None:  # fmt: skip
    """The samples `low` to `high`.

    Parameters
    ----------
    dy : float32
        Flat (N, O, H, W).
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
    workspace : float32
        See `workspace_size`.
    low, high : int
    """
    most, planes, rows = _tiles_of(sizes), sizes.inputs // BITS, sizes.height + 2
    at = _workspace_for(sizes, most)
    workspace[: at.points] = ZERO
    workspace[at.lanes + LANES : at.points] = np.float32(1)
    workspace[at.dw : at.end] = ZERO
    g, turned, lanes = memory(workspace[at.g :]), memory(workspace[at.turned :]), memory(workspace[at.lanes :])
    points, products = memory(workspace[at.points :]), memory(workspace[at.products :])
    row, total = memory(workspace[at.row :]), memory(workspace[at.dw :])
    flags, picture, size = (len(slope) > 0, len(sums) > 0), sizes.width + 2, _size_of_dx(most)
    for s in range(low, high):
        workspace[at.dx : at.dw] = ZERO
        for top in range(0, sizes.height, STEP * most[0]):
            tiles = min(most[0], (sizes.height - top + STEP - 1) // STEP), most[1]
            _take_rows(
                memory(dy), memory(y), memory(slope), flags, s, top, tiles, sizes, g, turned, lanes, memory(dslope),
                memory(sums),
            )  # fmt: skip
            points_of_result(g, tiles, sizes.outputs, row, points)
            done = STEP * tiles[0] + (2 if top + STEP * tiles[0] >= sizes.height else 0)
            for c in range(planes):
                for j in range(sizes.bases):
                    first = ((j * sizes.samples + s) * planes + c) * rows * picture
                    points_of_signs(memory(bits), first, (rows, picture), top, tiles, row, products)
                    _filters(tiles, j * planes + c, sizes, points, products, total)
                _inputs(tiles, c * LANES, sizes, memory(filters), points, products)
                part = memory(workspace[at.dx + c * size :])
                add_from_points(products, tiles, row, part)
                _give_rows(
                    part, top - 1, done, c * LANES, memory(coefs), s, STEP * most[1] + 2, sizes, turned, memory(dx)
                )
                _keep_rows(part, tiles)
    for j in range(sizes.bases):
        part = memory(workspace[at.dw + j * planes * POINTS * apart(sizes.outputs * LANES) :])
        filters_from_points(part, sizes.outputs, sizes.inputs, row, memory(dw[j * sizes.outputs * 9 * sizes.inputs :]))
