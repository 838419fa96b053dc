"""The backward pass of a binary convolution in training, both products by tables (`npbsrn.kernels.tables`).

Each sample is processed in pairs of rows that stay in the caches.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import load, put, scalar, store
from npbsrn.kernels.pixel_tables import GROUPS, MOST, ROWS, filters_back, pixel_nibbles, pixel_tables
from npbsrn.kernels.signed_sums import TABLE, add_to, aligned
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.tables import (
    CHUNK,
    chunk_of,
    join_row,
    scaled_row_tables,
    spread_1x1,
    spread_row,
    stride_of,
)  # fmt: skip

Array = np.ndarray[Any, Any]


class Sizes(NamedTuple):
    """Extents of one binary convolution in training."""

    bases: int  # of the activations
    samples: int
    inputs: int
    outputs: int
    height: int
    width: int
    size: int  # k


class Workspace(NamedTuple):
    """One worker's workspace; W' is W filled up to a multiple of 16."""

    g: Array  # (O, 2, W'): two rows of the cotangent, 0 beyond W
    ring: Array  # (3, 3, I, W' + 32): rows of dX, see `spread_row`
    row: Array  # (I, W'): a row of dX
    tables: Array  # (16, 16, 16): for dX
    filters: Array  # (3, 8, 16, 16): tables for dW
    turned: Array  # (32, 48): two rows of 16 pixels, channels last
    nibbles: Array  # (bases, I, H + 3, 4, W' / 4): of pixel bits


@kernel(forceinline=True)
def _filled(width: int) -> int:
    return (width + LANES - 1) // LANES * LANES


@kernel()
def _make_workspace(sizes: Sizes) -> Workspace:
    wide = _filled(sizes.width)
    return Workspace(
        aligned(sizes.outputs * ROWS * wide),
        aligned(9 * sizes.inputs * (wide + 2 * LANES)),
        aligned(sizes.inputs * wide),
        aligned(CHUNK * TABLE),
        aligned(MOST * GROUPS * TABLE),
        aligned(ROWS * LANES * MOST * LANES),
        np.zeros(sizes.bases * sizes.inputs * (sizes.height + 3) * wide, np.uint8),
    )


@kernel(forceinline=True)
def _take_rows(dy: Array, s: int, y: int, rows: int, sizes: Sizes, workspace: Workspace) -> None:
    """Two rows of the cotangent into ``workspace.g``."""
    wide, whole = _filled(sizes.width), sizes.width // LANES * LANES
    for row in range(rows):
        for o in range(sizes.outputs):
            source = ((s * sizes.outputs + o) * sizes.height + y + row) * sizes.width
            target = (o * ROWS + row) * wide
            for v in range(0, whole, LANES):
                store(workspace.g, target + v, load(dy, source + v))
            for v in range(whole, sizes.width):
                put(workspace.g, target + v, scalar(dy, source + v))


@kernel(forceinline=True)
def _add_pixels(rows: int, sizes: Sizes, workspace: Workspace, sums: Array) -> None:
    """Sums over pixels, by channel and lane."""
    wide = _filled(sizes.width)
    for o in range(sizes.outputs):
        for row in range(rows):
            for v in range(0, wide, LANES):
                add_to(sums, o * LANES, load(workspace.g, (o * ROWS + row) * wide + v))


@kernel(forceinline=True)
def _give_row(s: int, y: int, coefs: Array, sizes: Sizes, workspace: Workspace, dx: Array) -> None:
    """``workspace.row`` times each base's coefficient, to row y of dX (bases, N, I, H, W)."""
    wide, width = _filled(sizes.width), sizes.width
    for j in range(sizes.bases):
        coef = scalar(coefs, j)
        for c in range(sizes.inputs):
            target = (((j * sizes.samples + s) * sizes.inputs + c) * sizes.height + y) * width
            if width < LANES:
                for v in range(width):
                    put(dx, target + v, scalar(workspace.row, c * wide + v) * coef)
            else:
                for left in range(0, width, LANES):
                    v = min(left, width - LANES)  # the last vector overlaps the one before it
                    store(dx, target + v, load(workspace.row, c * wide + v) * coef)


@kernel(forceinline=True)
def _spread(y: int, row: int, nibbles: Array, scales: Array, sizes: Sizes, workspace: Workspace) -> None:
    """What row `row` of ``workspace.g``, which is row y of the picture, sends through all filters."""
    wide, terms = _filled(sizes.width), len(nibbles)
    for left in range(0, wide, LANES):
        for i in range(terms):
            for first in range(0, sizes.outputs // 4, CHUNK):
                groups, begin = chunk_of(sizes.outputs, first), i == 0 and first == 0
                start = first // CHUNK * sizes.inputs * stride_of(CHUNK, sizes.size)
                place = (4 * first * ROWS + row) * wide + left
                scaled_row_tables(workspace.g, place, ROWS * wide, groups, scales[i], 4 * first, workspace.tables)
                if sizes.size == 3:
                    spread_row(
                        workspace.tables, nibbles[i], start, groups, sizes.inputs, left, y, wide, begin, workspace.ring
                    )  # fmt: skip
                else:
                    spread_1x1(
                        workspace.tables, nibbles[i], start, groups, sizes.inputs, begin, workspace.row, left, wide
                    )


@kernel(forceinline=True)
def _filters(y: int, rows: int, sizes: Sizes, parts: Array, workspace: Workspace, dw: Array) -> None:
    """Cotangents of the filters from two rows."""
    wide, per_base = _filled(sizes.width), sizes.inputs * (sizes.height + 3) * _filled(sizes.width)
    total = sizes.inputs * sizes.size * sizes.size
    for left in range(0, wide, LANES):
        first = 0
        for vectors in parts:
            pixel_tables(workspace.g, first, vectors, left, rows, wide, workspace.turned, workspace.filters)
            for j in range(sizes.bases):
                where = (j * sizes.outputs + first) * total
                filters_back(
                    workspace.nibbles, j * per_base, sizes.inputs, workspace.filters, vectors, y, left, sizes.height,
                    wide, sizes.size, dw, where,
                )  # fmt: skip
            first += vectors * LANES


@kernel()
def backward_samples(
    dy: Array, bits: Array, nibbles: Array, scales: Array, coefs: Array, parts: Array, sizes: Sizes, dx: Array,
    dw: Array, sums: Array, low: int, high: int,
) -> None:  # fmt: skip
    """The samples `low` to `high`.

    Parameters
    ----------
    dy : float32
        Flat (N, O, H, W).
    bits : uint16
        See `npbsrn.kernels.binary_forward.forward_samples`.
    nibbles : (M, ...) uint8
        Of the filters, see `npbsrn.kernels.tables.filter_nibbles`.
    scales : (M, O) float32
    coefs : (bases,) float32
    parts : (chunks,) int64
        See `npbsrn.kernels.pixel_tables.chunks_of`.
    sizes : Sizes
    dx : float32
        Flat (bases, N, I, H, W), filled: ``coef_j * sum_i scale_i dy`` through the filters.
    dw : float32
        Flat, by base and chunk of output channels (I, k, k, those); added to: sums of products of dy and signs.
    sums : (O * 16,) float32
        Added to: dy by channel and lane; left alone where it is empty.
    low, high : int
    """
    workspace, wide, height = _make_workspace(sizes), _filled(sizes.width), sizes.height
    planes = sizes.inputs // BITS
    picture = planes * (height + 2) * (sizes.width + 2)
    for s in range(low, high):
        for j in range(sizes.bases):
            first = (j * sizes.samples + s) * picture
            place = j * sizes.inputs * (height + 3) * wide
            pixel_nibbles(bits, first, planes, height, sizes.width + 2, wide, workspace.nibbles, place)
        workspace.ring[: 3 * sizes.inputs * (wide + 2 * LANES)] = 0  # row 0, which no row before it begins
        for y in range(0, height, ROWS):
            rows = min(ROWS, height - y)
            _take_rows(dy, s, y, rows, sizes, workspace)
            if sums.size > 0:
                _add_pixels(rows, sizes, workspace, sums)
            for row in range(rows):
                _spread(y + row, row, nibbles, scales, sizes, workspace)
                if sizes.size == 1:
                    _give_row(s, y + row, coefs, sizes, workspace, dx)
                elif y + row > 0:
                    join_row(workspace.ring, y + row - 1, sizes.inputs, wide, workspace.row, 0, wide, 1)
                    _give_row(s, y + row - 1, coefs, sizes, workspace, dx)
            _filters(y, rows, sizes, parts, workspace, dw)
        if sizes.size == 3:
            join_row(workspace.ring, height - 1, sizes.inputs, wide, workspace.row, 0, wide, 1)
            _give_row(s, height - 1, coefs, sizes, workspace, dx)
