"""The backward pass of a binary 1x1 convolution in training, both products by tables (`npbsrn.kernels.long_row`).

Each sample is taken as one long row of lines of W + 2 pixels, with zeros where the border is, and processed in bands
that stay in the caches.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.conv_sizes import Sizes
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.long_row import (
    SPAN,
    add_products,
    channel_tables,
    index_length,
    part_of,
    pixel_indices,
    span_tables,
    spread,
)  # fmt: skip
from npbsrn.kernels.memory import load, memory, put, scalar, store
from npbsrn.kernels.prelu import through_prelu
from npbsrn.kernels.signed_sums import FIVES, add_to, aligned
from npbsrn.kernels.simd import LANES, splat

Array = np.ndarray[Any, Any]

BAND = 240  # pixels of a band: whole vectors, and whole blocks
LENGTH = BAND + LANES  # of a channel's band in memory: vectors read beyond it


ZERO, ONE = np.float32(0), np.float32(1)


class Workspace(NamedTuple):
    """One worker's workspace."""

    g: Array  # (O, 240 + 16): a band of the cotangent
    dx: Array  # (I, 240 + 16): of a band
    tables: Array  # (13, 32, 16)
    turned: Array  # (64, 16): a block, channels last
    row: Array  # (240 + 16): of a band, what PReLU's slope gets
    indices: Array  # (bases, I, index_length): of pixel bits


@part(forceinline=True)
def _indices_of(sizes: Sizes) -> int:
    """Length of a channel of ``workspace.indices``."""
    return index_length((sizes.height + 2) * (sizes.width + 2), sizes.width + 2)


@kernel()
def _make_workspace(sizes: Sizes) -> Workspace:
    return Workspace(
        aligned(sizes.outputs * LENGTH),
        aligned(sizes.inputs * LENGTH),
        aligned(13 * FIVES),
        aligned((SPAN + LANES) * LANES),
        aligned(LENGTH),
        np.zeros(sizes.bases * sizes.inputs * _indices_of(sizes), np.uint8),
    )


@part(forceinline=True)
def _copy(source: Any, place: int, count: int, factor: Any, out: Any, where: int) -> None:
    """``out[where :+count] = source[place :+count] * factor``."""
    if count < LANES:
        for x in range(count):
            put(out, where + x, scalar(source, place + x) * factor)
    else:
        for left in range(0, count, LANES):
            x = min(left, count - LANES)  # the last vector overlaps the one before it
            store(out, where + x, load(source, place + x) * factor)


@part(forceinline=True)
def _copy_activated(
    dy: Any, y: Any, place: int, count: int, slope: Any, out: Any, where: int, row: Any, to: int
) -> None:
    """`_copy` through PReLU; `row` gets what its slope gets."""
    if count < LANES:
        for x in range(count):
            d, result = scalar(dy, place + x), scalar(y, place + x)
            put(out, where + x, d if result > ZERO else d * slope)
            put(row, to + x, ZERO if result > ZERO else result * d)
    else:
        for left in range(0, count, LANES):
            x = min(left, count - LANES)
            d, due = through_prelu(load(dy, place + x), load(y, place + x), slope)
            store(out, where + x, d)
            store(row, to + x, due)


@kernel()
def _take_band(
    dy: Any, y: Any, slope: Any, activated: bool, s: int, first: int, sizes: Sizes, g: Any, row: Any, dslope: Any
) -> None:
    """The cotangent from position `first` of the long row on, through PReLU if `activated`."""
    line, height, width = sizes.width + 2, sizes.height, sizes.width
    begin, end = first // line, min(height, (first + BAND + line - 1) // line)
    for o in range(sizes.outputs):
        for p in range(0, LENGTH, LANES):
            store(g, o * LENGTH + p, splat(ZERO))
            store(row, p, splat(ZERO))
        for v in range(begin, end):
            start = v * line - first  # of the line, in the band
            left, right = max(0, -start), min(width, BAND - start)
            source, target = ((s * sizes.outputs + o) * height + v) * width + left, o * LENGTH + start + left
            if activated:
                _copy_activated(dy, y, source, right - left, scalar(slope, o), g, target, row, start + left)
            else:
                _copy(dy, source, right - left, ONE, g, target)
        if activated:
            for p in range(0, LENGTH, LANES):
                add_to(dslope, o * LANES, load(row, p))


@part(forceinline=True)
def _add_pixels(sizes: Sizes, workspace: Workspace, sums: Array) -> None:
    """Sums over pixels, by channel and lane."""
    for o in range(sizes.outputs):
        for p in range(0, BAND, LANES):
            add_to(sums, o * LANES, load(workspace.g, o * LENGTH + p))


@kernel()
def _give_band(s: int, first: int, count: int, coefs: Any, sizes: Sizes, own: Any, dx: Any) -> None:
    """`count` complete positions from `first` on, times each base's coefficient, to dX (bases, N, I, H, W)."""
    line, height, width = sizes.width + 2, sizes.height, sizes.width
    begin, end = max(0, first // line), min(height, (first + count + line - 1) // line)
    for j in range(sizes.bases):
        for c in range(sizes.inputs):
            plane = ((j * sizes.samples + s) * sizes.inputs + c) * height
            for y in range(begin, end):
                start = y * line - first
                left, right = max(0, -start), min(width, count - start)
                source = c * LENGTH + start + left
                _copy(own, source, right - left, scalar(coefs, j), dx, (plane + y) * width + left)


@part(forceinline=True)
def _inputs(p: int, indices: Array, scales: Array, chunks: Array, sizes: Sizes, workspace: Workspace) -> None:
    """What 16 pixels from position p of the band on send through all filters."""
    for i in range(len(indices)):
        first, start = 0, 0
        for vectors in chunks:
            channel_tables(workspace.g, p, LENGTH, scales[i], first, vectors, workspace.tables)
            spread(workspace.tables, indices[i], start, vectors, sizes.inputs, p, LENGTH, workspace.dx)
            first += vectors * LANES
            start += sizes.inputs // 4 * part_of(vectors)


@part(forceinline=True)
def _filters(first: int, p: int, sizes: Sizes, workspace: Workspace, dw: Array) -> None:
    """Cotangents of the filters from a block at position p of a band, which begins at `first`."""
    length = _indices_of(sizes)
    for o in range(0, sizes.outputs, LANES):
        span_tables(workspace.g, o * LENGTH + p, LENGTH, workspace.turned, workspace.tables)
        for j in range(sizes.bases):
            where = (j * sizes.outputs + o) * sizes.inputs
            add_products(
                workspace.indices, j * sizes.inputs * length, length, sizes.inputs, workspace.tables, first + p,
                sizes.width + 2, dw, where,
            )  # fmt: skip


@kernel()
def backward_samples(
    dy: Array, bits: Array, indices: Array, scales: Array, coefs: Array, chunks: Array, sizes: Sizes, dx: Array,
    dw: Array, sums: Array, y: Array, slope: Array, dslope: Array, low: int, high: int,
) -> None:  # fmt: skip
    """The samples `low` to `high`.

    Parameters
    ----------
    dy : float32
        Flat (N, O, H, W).
    bits : uint16
        See `npbsrn.kernels.binary_forward.forward_samples`.
    indices : (M, ...) uint8
        Of the filters, see `npbsrn.kernels.long_row.filter_indices`.
    scales : (M, O) float32
    coefs : (bases,) float32
    chunks : (chunks,) int64
        See `npbsrn.kernels.long_row.chunks_of`.
    sizes : Sizes
    dx : float32
        Flat (bases, N, I, H, W), filled: ``coef_j * sum_i scale_i dy`` through the filters.
    dw : float32
        Flat (bases, O / 16, I, 16); added to: sums of products of dy and signs.
    sums : (O * 16,) float32
        Added to: dy by channel and lane; left alone where it is empty.
    y : float32
        Like dy: the result behind PReLU. Not used without a slope.
    slope : (O,) float32
        Of PReLU, above 0, or empty.
    dslope : (O * 16,) float32
        Added to, by channel and lane: what the slope gets, times the slope.
    low, high : int
    """
    workspace, line = _make_workspace(sizes), sizes.width + 2
    planes, picture, pixels = sizes.inputs // BITS, (sizes.height + 2) * line, sizes.height * line
    for s in range(low, high):
        for j in range(sizes.bases):
            start, length = (j * sizes.samples + s) * planes * picture, _indices_of(sizes)
            pixel_indices(bits, start, planes, picture, length, workspace.indices, j * sizes.inputs * length)
        for first in range(0, pixels, BAND):
            count = min(BAND, pixels - first)
            workspace.dx[:] = ZERO
            _take_band(
                memory(dy), memory(y), memory(slope), len(slope) > 0, s, first, sizes, memory(workspace.g),
                memory(workspace.row), memory(dslope),
            )  # fmt: skip
            if sums.size > 0:
                _add_pixels(sizes, workspace, sums)
            for p in range(0, count, LANES):
                _inputs(p, indices, scales, chunks, sizes, workspace)
            for p in range(0, count, SPAN):
                _filters(first, p, sizes, workspace, dw)
            _give_band(s, first, count, memory(coefs), sizes, memory(workspace.dx), memory(dx))
