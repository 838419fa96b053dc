"""The forward pass of a binary convolution in training: counts, 32 pixels at a time, then scales."""

from typing import Any

import numpy as np

from npbsrn.kernels.bits import BITS, TILE
from npbsrn.kernels.counts import count1, count3
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import ask_to_write, load, memory, scalar, store
from npbsrn.kernels.pack import store_part
from npbsrn.kernels.simd import LANES, fused, select, splat, to_float

Array = np.ndarray[Any, Any]

MINUS_TWO, ZERO = np.float32(-2), np.float32(0)
BAND = 8  # tiles that are counted before they are written: each plane gets a piece of some length


@part(forceinline=True)
def _cut(first: int, end: int, outputs: int, line: int, width: int, pieces: Array) -> int:
    """Cut a band of positions of the long row into pieces of up to 16 pixels of one row and tile; gives their number.

    A piece: where its counts begin for output channel 0, where it belongs in a plane, and its pixels.
    """
    at, count = first, 0
    while at < end:
        row, x = at // line, at % line
        tile, lane = (at - first) // TILE, (at - first) % TILE
        pixels = min(LANES, TILE - lane, end - at, width - x)
        if pixels > 0:
            pieces[count, 0], pieces[count, 1], pieces[count, 2] = tile * outputs * TILE + lane, row * width + x, pixels
            at, count = at + pixels, count + 1
        else:
            at = (row + 1) * line
    return count


@part(forceinline=True)
def _value(
    counts: Any, place: int, pairs: int, step: int, o: int, outputs: int, factors: Any, offset: Any, begun: bool,
    slope: Any, activated: bool, taps: Any,
) -> Any:  # fmt: skip
    """``offset + sum_p factors[p, o] * (taps - 2 counts[p])`` at 16 pixels, fused from the second pair p on.

    The first product is rounded by itself, and then the offset added where one has `begun`: see
    `npbsrn.ops.normal_form.sum_products`. PReLU follows if `activated`.
    """
    value, factor = to_float(load(counts, place)) * MINUS_TWO + taps, scalar(factors, o)
    y = value * factor + splat(scalar(offset, o)) if begun else value * factor
    for p in range(1, pairs):
        value = to_float(load(counts, p * step + place)) * MINUS_TWO + taps
        y = fused(value, scalar(factors, p * outputs + o), y)
    return select(y > ZERO, y, y * scalar(slope, o)) if activated else y


@part(forceinline=True)
def _write(
    counts: Any, pairs: int, step: int, outputs: int, pieces: Array, number: int, factors: Any, offset: Any,
    begun: bool, slope: Any, activated: bool, taps: Any, y: Any, first: int, pixels: int, workspace: Any,
) -> None:  # fmt: skip
    """A band, channel after channel; a sample's planes begin at ``y[first]``.

    What is written beyond a piece is written again, by the next one, unless it is beyond the plane's end. The places of
    the next band are asked for: they are near when it has been counted.
    """
    for o in range(outputs):
        for n in range(number):
            source, target, count = pieces[n, 0], pieces[n, 1], pieces[n, 2]
            ask_to_write(y, first + o * pixels + target + BAND * TILE)
            value = _value(
                counts, source + o * TILE, pairs, step, o, outputs, factors, offset, begun, slope, activated, taps
            )
            if target + LANES <= pixels:
                store(y, first + o * pixels + target, value)
            else:
                store_part(y, first + o * pixels + target, count, value, workspace)


@kernel()
def forward_samples(
    bits: Array, words: Array, factors: Array, offset: Array, slope: Array, y: Array,
    shape: tuple[int, int, int, int, int], size: int, low: int, high: int,
) -> None:  # fmt: skip
    """The samples `low` to `high`.

    The picture is taken as one long row, its border included: what is counted there is left out. A band of `BAND` tiles
    is counted, then written.

    Parameters
    ----------
    bits : uint16
        Flat (bases, N, planes, H + 2, W + 2); vectors look up to `npbsrn.kernels.pack.SLACK` beyond.
    words : (M, n) uint16
        Of the filters, see `npbsrn.kernels.counts.arranged`.
    factors : (M * bases * O,) float32
    offset, slope : (O,) float32
        Or empty; the slope is PReLU's.
    y : float32
        Flat (N, O, H, W), filled.
    shape : (bases, N, planes, H, W)
    size : {1, 3}
        k.
    low, high : int
    """
    bases, n, planes, height, width = shape
    line, plane, pairs = width + 2, (height + 2) * (width + 2), len(words) * bases
    outputs = len(factors) // pairs
    taps = np.float32(planes * BITS * size * size)
    workspace, pieces = np.empty(LANES, np.float32), np.empty((BAND * TILE, 3), np.int64)
    counts = np.zeros((pairs + 1, BAND, outputs * TILE), np.uint16)  # vectors look behind the last
    for s in range(low, high):
        for first in range(0, height * line, BAND * TILE):
            end = min(first + BAND * TILE, height * line)
            tiles = -(-(end - first) // TILE)
            for i in range(len(words)):
                for j in range(bases):
                    source = (j * n + s) * planes * plane
                    out = counts[i * bases + j]
                    if size == 3:
                        count3(bits, source + first, line, plane, planes, tiles, words[i], 0, outputs, out)
                    else:
                        count1(bits, source + first + line + 1, plane, planes, tiles, words[i], 0, outputs, out)
            number = _cut(first, end, outputs, line, width, pieces)
            start = s * outputs * height * width
            _write(
                memory(counts), pairs, counts[0].size, outputs, pieces, number, memory(factors), memory(offset),
                len(offset) > 0, memory(slope), len(slope) > 0, taps, memory(y), start, height * width,
                memory(workspace),
            )  # fmt: skip
