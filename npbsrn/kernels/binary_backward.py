"""The backward pass of a binary convolution in training, both products by tables (`npbsrn.kernels.tables`).

Each sample is taken as one long row of lines of W + 2 pixels, with zeros where the border is, and processed in bands
that stay in the caches; see `npbsrn.kernels.long_row`.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.long_row import GROUPS, SPAN, TABLE, add_products, index_length, pixel_indices, span_tables
from npbsrn.kernels.memory import load
from npbsrn.kernels.signed_sums import add_to, aligned
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.tables import CHUNK, chunk_of, scaled_row_tables, spread_1x1, spread_line, stride_of

Array = np.ndarray[Any, Any]

BAND = 240  # pixels of a band: whole vectors, and whole blocks
LENGTH = BAND + LANES  # of a channel's band in memory: vectors read beyond it


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
    """One worker's workspace."""

    g: Array  # (O, 240 + 16): a band of the cotangent
    dx: Array  # (I, 240 + 2 (W + 3) + 16): of a band, and what it sends to the lines above and below
    tables: Array  # (12, 32, 16), for dX (16, 16, 16)
    turned: Array  # (64, 16): a block, channels last
    indices: Array  # (bases, I, index_length): of pixel bits


@kernel(forceinline=True)
def _margin(sizes: Sizes) -> int:
    """How far a pixel of the cotangent reaches in the long row, to either side."""
    return sizes.width + 3 if sizes.size == 3 else 0


@kernel(forceinline=True)
def _reach(sizes: Sizes) -> int:
    """Length of a channel of ``workspace.dx``."""
    return BAND + 2 * _margin(sizes) + LANES


@kernel(forceinline=True)
def _indices_of(sizes: Sizes) -> int:
    """Length of a channel of ``workspace.indices``."""
    return index_length((sizes.height + 2) * (sizes.width + 2), sizes.width + 2)


@kernel()
def _make_workspace(sizes: Sizes) -> Workspace:
    return Workspace(
        aligned(sizes.outputs * LENGTH),
        aligned(sizes.inputs * _reach(sizes)),
        aligned(GROUPS * TABLE),
        aligned((SPAN + LANES) * LANES),
        np.zeros(sizes.bases * sizes.inputs * _indices_of(sizes), np.uint8),
    )


@kernel()
def _take_band(dy: Array, s: int, first: int, sizes: Sizes, g: Array) -> None:
    """The cotangent from position `first` of the long row on."""
    line, height, width = sizes.width + 2, sizes.height, sizes.width
    begin, end = first // line, min(height, (first + BAND + line - 1) // line)
    for o in range(sizes.outputs):
        own = g[o * LENGTH : (o + 1) * LENGTH]
        own[:] = np.float32(0)
        for y in range(begin, end):
            left, right = max(0, first - y * line), min(width, first + BAND - y * line)
            source, target = ((s * sizes.outputs + o) * height + y) * width, y * line - first
            if left < right:
                values, part = dy[source + left : source + right], own[target + left : target + right]
                for x in range(right - left):
                    part[x] = values[x]


@kernel(forceinline=True)
def _add_pixels(sizes: Sizes, workspace: Workspace, sums: Array) -> None:
    """Sums over pixels, by channel and lane."""
    for o in range(sizes.outputs):
        for p in range(0, BAND, LANES):
            add_to(sums, o * LANES, load(workspace.g, o * LENGTH + p))


@kernel()
def _give_band(s: int, first: int, count: int, coefs: Array, sizes: Sizes, workspace: Workspace, dx: Array) -> None:
    """`count` complete positions from `first` on, times each base's coefficient, to dX (bases, N, I, H, W)."""
    line, height, width, reach = sizes.width + 2, sizes.height, sizes.width, _reach(sizes)
    begin, end = max(0, first // line), min(height, (first + count + line - 1) // line)
    for j in range(sizes.bases):
        coef = coefs[j]
        for c in range(sizes.inputs):
            own = workspace.dx[c * reach : (c + 1) * reach]
            for y in range(begin, end):
                left, right = max(0, first - y * line), min(width, first + count - y * line)
                target = (((j * sizes.samples + s) * sizes.inputs + c) * height + y) * width
                if left < right:
                    start = y * line - first
                    values, part = own[start + left : start + right], dx[target + left : target + right]
                    for x in range(right - left):
                        part[x] = values[x] * coef


@kernel()
def _next_band(sizes: Sizes, workspace: Workspace) -> None:
    """What a band has sent beyond itself is where the next one begins; the rest of that is zero."""
    reach, kept = _reach(sizes), 2 * _margin(sizes)
    for c in range(sizes.inputs):
        own = workspace.dx[c * reach : (c + 1) * reach]
        for p in range(kept):  # forwards: the two may overlap
            own[p] = own[BAND + p]
        own[kept:] = np.float32(0)


@kernel(forceinline=True)
def _inputs(p: int, nibbles: Array, scales: Array, sizes: Sizes, workspace: Workspace) -> None:
    """What 16 pixels from position p of the band on send through all filters."""
    for i in range(len(nibbles)):
        for first in range(0, sizes.outputs // 4, CHUNK):
            groups, start = chunk_of(sizes.outputs, first), first // CHUNK * sizes.inputs * stride_of(CHUNK, sizes.size)
            scaled_row_tables(
                workspace.g, 4 * first * LENGTH + p, LENGTH, groups, scales[i], 4 * first, workspace.tables
            )
            if sizes.size == 3:
                spread_line(
                    workspace.tables, nibbles[i], start, groups, sizes.inputs, p, sizes.width + 2, _reach(sizes),
                    workspace.dx,
                )  # fmt: skip
            else:
                spread_1x1(
                    workspace.tables, nibbles[i], start, groups, sizes.inputs, i == 0 and first == 0, workspace.dx, p,
                    _reach(sizes),
                )  # fmt: skip


@kernel(forceinline=True)
def _filters(first: int, p: int, sizes: Sizes, workspace: Workspace, dw: Array) -> None:
    """Cotangents of the filters from a block at position p of a band, which begins at `first`."""
    length, taps = _indices_of(sizes), sizes.size * sizes.size
    for o in range(0, sizes.outputs, LANES):
        span_tables(workspace.g, o * LENGTH + p, LENGTH, workspace.turned, workspace.tables)
        for j in range(sizes.bases):
            where = (j * sizes.outputs + o) * sizes.inputs * taps
            add_products(
                workspace.indices, j * sizes.inputs * length, length, sizes.inputs, workspace.tables, first + p,
                sizes.width + 2, sizes.size, dw, where,
            )  # fmt: skip


@kernel()
def backward_samples(
    dy: Array, bits: Array, nibbles: Array, scales: Array, coefs: Array, sizes: Sizes, dx: Array, dw: Array,
    sums: Array, low: int, high: int,
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
    sizes : Sizes
    dx : float32
        Flat (bases, N, I, H, W), filled: ``coef_j * sum_i scale_i dy`` through the filters.
    dw : float32
        Flat (bases, O / 16, I, k, k, 16); added to: sums of products of dy and signs.
    sums : (O * 16,) float32
        Added to: dy by channel and lane; left alone where it is empty.
    low, high : int
    """
    workspace, line, margin = _make_workspace(sizes), sizes.width + 2, _margin(sizes)
    planes, picture, pixels = sizes.inputs // BITS, (sizes.height + 2) * line, sizes.height * line
    for s in range(low, high):
        for j in range(sizes.bases):
            start, length = (j * sizes.samples + s) * planes * picture, _indices_of(sizes)
            pixel_indices(bits, start, planes, picture, length, workspace.indices, j * sizes.inputs * length)
        workspace.dx[:] = np.float32(0)
        for first in range(0, pixels, BAND):
            count = min(BAND, pixels - first)
            _take_band(dy, s, first, sizes, workspace.g)
            if sums.size > 0:
                _add_pixels(sizes, workspace, sums)
            for p in range(0, count, LANES):
                _inputs(p, nibbles, scales, sizes, workspace)
            for p in range(0, count, SPAN):
                _filters(first, p, sizes, workspace, dw)
            done = BAND if first + BAND < pixels else count + margin
            _give_band(s, first - margin, done, coefs, sizes, workspace, dx)
            _next_band(sizes, workspace)
