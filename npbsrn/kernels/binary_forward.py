"""The forward pass of a binary convolution in training: counts, 32 pixels at a time, then scales."""

from typing import Any

import numpy as np

from npbsrn.kernels.bits import BITS, TILE
from npbsrn.kernels.counts import count1, count3
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import load, scalar, store
from npbsrn.kernels.pack import store_part
from npbsrn.kernels.simd import LANES, fused, splat, to_float

Array = np.ndarray[Any, Any]

MINUS_TWO = np.float32(-2)


@kernel(forceinline=True)
def _scaled(counts: Array, pairs: int, place: int, step: int, o: int, factors: Array, offset: Array, taps: Any) -> Any:
    """``offset + sum_p factors[p, o] * (taps - 2 counts[p])`` at 16 pixels, fused from the second pair p on.

    The first product is rounded by itself, with an offset or without one, an empty array: see
    `npbsrn.ops.binary_conv.binary_conv`.
    """
    outputs = step // TILE
    first = to_float(load(counts, place)) * MINUS_TWO + taps
    factor = scalar(factors, o)
    total = first * factor + splat(scalar(offset, o)) if offset.size > 0 else first * factor
    for p in range(1, pairs):
        value = to_float(load(counts, p * step + place)) * MINUS_TWO + taps
        total = fused(value, scalar(factors, p * outputs + o), total)
    return total


@kernel(forceinline=True)
def _write(
    counts: Array, pairs: int, lane: int, count: int, factors: Array, offset: Array, taps: Any, y: Array, place: int,
    pixels: int, last: int, room: Array,
) -> None:  # fmt: skip
    """Up to 16 pixels of a row, all output channels, from lane `lane` of the tile of counts on.

    What is written beyond them is written again, by the next row, unless it is beyond `last`, the plane's end.
    """
    outputs = counts.size // (pairs * TILE)
    for o in range(outputs):
        value = _scaled(counts, pairs, o * TILE + lane, outputs * TILE, o, factors, offset, taps)
        if place + LANES <= last:
            store(y, place + o * pixels, value)
        else:
            store_part(y, place + o * pixels, count, value, room)


@kernel()
def forward_samples(
    bits: Array, words: Array, factors: Array, offset: Array, y: Array, shape: tuple[int, int, int, int, int],
    size: int, low: int, high: int,
) -> None:  # fmt: skip
    """The samples `low` to `high`.

    The picture is taken as one long row, its border included: what is counted there is left out.

    Parameters
    ----------
    bits : uint16
        Flat (bases, N, planes, H + 2, W + 2); vectors look up to `npbsrn.kernels.pack.SLACK` beyond.
    words : (M, O * planes * k * k) uint16
        Of the filters, see `npbsrn.kernels.bits.pack_filters`.
    factors : (M * bases * O,) float32
    offset : (O,) float32
        Or empty.
    y : float32
        Flat (N, O, H, W), filled.
    shape : (bases, N, planes, H, W)
    size : {1, 3}
        k.
    low, high : int
    """
    bases, n, planes, height, width = shape
    terms, line, pixels = len(words), width + 2, height * width
    plane, pairs = (height + 2) * line, terms * bases
    outputs = len(factors) // pairs
    taps = np.float32(planes * BITS * size * size)
    room, counts = np.empty(LANES, np.float32), np.zeros((pairs + 1, outputs * TILE), np.uint16)
    flat = counts.ravel()[: pairs * outputs * TILE]
    for s in range(low, high):
        for first in range(0, height * line, TILE):
            for i in range(terms):
                for j in range(bases):
                    place, out = (j * n + s) * planes * plane + first, counts[i * bases + j]
                    if size == 3:
                        count3(bits, place, line, plane, planes, words[i], 0, outputs, out)
                    else:
                        count1(bits, place + line + 1, plane, planes, words[i], 0, outputs, out)
            at, end = first, min(first + TILE, height * line)
            while at < end:
                row, stop = at // line, min(end, at // line * line + width)
                target = (s * outputs * height + row) * width + at - row * line
                last = (s * outputs + 1) * pixels
                for k in range(0, stop - at, LANES):
                    count = min(LANES, stop - at - k)
                    _write(flat, pairs, at - first + k, count, factors, offset, taps, y, target + k, pixels, last, room)
                at = (row + 1) * line
