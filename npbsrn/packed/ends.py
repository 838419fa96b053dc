"""The float ends of the engine: what stands around the convolutions of head, trunk and tail."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel
from npbsrn.packed.kernels import TILE

Array = np.ndarray[Any, Any]

HALF = np.float32(0.5)


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
def from_stream(x: Array, first: int, width: int, padded: Array) -> None:
    """Rows of the stream from `first` on to (C, R, W + 2 or more), with zeros around the picture."""
    height, tiles = x.shape[:2]
    channels, rows, line = padded.shape
    for c in range(channels):
        for r in range(rows):
            y = first + r
            inside = width if 0 <= y < height else 0
            padded[c, r, 0] = 0
            for t in range(tiles):
                count = min(TILE, inside - t * TILE)
                for v in range(count):
                    padded[c, r, 1 + t * TILE + v] = x[y, t, c * TILE + v]
            for v in range(1 + inside, line):
                padded[c, r, v] = 0


@kernel()
def add_head(
    trunk: Array, trunk_bias: Array, head: Array, head_bias: Array, width: int, above: int, below: int, padded: Array
) -> None:
    """The sum of trunk and head as the tail sees it: (C, above + R + below, W + 4 or more), with zeros around it."""
    rows = trunk.shape[1]
    line = padded.shape[2]
    for c in range(len(trunk_bias)):
        bias = trunk_bias[c] + head_bias[c]
        padded[c, :above] = 0
        padded[c, above + rows :] = 0
        for r in range(rows):
            padded[c, above + r, :2] = 0
            for v in range(width):
                padded[c, above + r, 2 + v] = trunk[c, r, v] + head[c, r, v] + bias
            for v in range(2 + width, line):
                padded[c, above + r, v] = 0


@kernel()
def write_pixels(y: Array, scale: int, peak: float, left: int, out: Array) -> None:
    """Shuffle, clip, and round.

    Parameters
    ----------
    y : (3 * s * s or more, R, W or more) float32, in [0, 1]
        By colour and phase.
    scale : int
        s.
    peak : float
        What 1 becomes in whole numbers, rounded halves up; 0 to leave numbers as they are.
    left : int
        First column of `y` that is wanted.
    out : (R * s, W * s, 3)
    """
    rows, width, s = y.shape[1], out.shape[1] // scale, scale
    zero, one, top = np.float32(0), np.float32(1), np.float32(peak)
    line = np.empty(width, np.float32)
    for r in range(rows):
        for a in range(s):
            for b in range(s):
                for colour in range(3):
                    o = (colour * s + a) * s + b
                    for v in range(width):
                        line[v] = min(max(y[o, r, left + v], zero), one)
                    if peak > 0:
                        for v in range(width):
                            line[v] = line[v] * top + HALF
                    for v in range(width):
                        out[r * s + a, v * s + b, colour] = line[v]
