"""Pack float32 signs into words of bits, and filters into the order in which the counting kernels read them."""

from typing import Any

import numpy as np

from npbsrn.kernels.bits import BITS, GROUP
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import hold, load, memory, put, scalar, store
from npbsrn.kernels.simd import LANES, select, splat

Array = np.ndarray[Any, Any]

SLACK = 64  # words behind the last picture, into which vectors look
ZERO = np.float32(0)


@part(forceinline=True)
def load_part(values: Array, place: int, count: int, workspace: Array) -> Any:
    """``values[place :+16]``, of which only the first `count` are there; the others are 0.

    `workspace` holds 16 numbers.
    """
    store(workspace, 0, splat(ZERO))
    for k in range(count):
        put(workspace, k, scalar(values, place + k))
    return load(workspace, 0)


@part(forceinline=True)
def store_part(values: Array, place: int, count: int, vector: Any, workspace: Array) -> None:
    """``values[place :+count] = vector[:count]``."""
    store(workspace, 0, vector)
    for k in range(count):
        put(values, place + k, scalar(workspace, k))


@part(forceinline=True)
def store_word(words: Array, place: int, count: int, word: Any, workspace: Array) -> None:
    """``words[place :+count] = word[:count]``: a whole vector might reach into another thread's sample."""
    if count >= LANES:
        store(words, place, word)
    else:
        store(workspace, 0, word)
        for k in range(count):
            put(words, place + k, scalar(workspace, k))


@kernel()
def set_border(words: Array, first: int, planes: int, height: int, width: int, word: int) -> None:
    """Fill what stands around a picture of words, flat (planes, H + 2, W + 2) from `first` on."""
    line, value = width + 2, np.uint16(word)
    for g in range(planes):
        top = first + g * (height + 2) * line
        for x in range(line):
            put(words, top + x, value)
            put(words, top + (height + 1) * line + x, value)
        for y in range(1, height + 1):
            put(words, top + y * line, value)
            put(words, top + y * line + width + 1, value)


@kernel()
def pack_signs(
    x: Array, shift: Array, planes: int, height: int, width: int, border: int, words: Array, low: int, high: int
) -> None:
    """Words of the samples `low` to `high`: bit j of plane g is set where ``x + shift`` of channel 16 g + j is below 0.

    Parameters
    ----------
    x : float32
        Flat (N, 16 * planes, H, W).
    shift : (16 * planes,) float32
    planes, height, width : int
    border : int
        The word around the picture: 0 for +1, 0xFFFF for -1.
    words : uint16
        Filled, flat (N, planes, H + 2, W + 2) and `SLACK`.
    low, high : int
    """
    line, pixels = width + 2, height * width
    size, workspace = planes * (height + 2) * line, np.empty(LANES, np.float32)
    row = np.empty(LANES, np.uint16)
    source, out, part, whole, shifts = memory(x), memory(words), memory(workspace), memory(row), memory(shift)
    for s in range(low, high):
        for g in range(planes):
            first, target = (s * planes + g) * BITS * pixels, s * size + g * (height + 2) * line
            for y in range(height):
                for left in range(0, width, LANES):
                    at = max(0, min(left, width - LANES))  # the last vector overlaps the one before it
                    word = splat(np.uint16(0))
                    for j in range(BITS):
                        place = first + j * pixels + y * width + at
                        value = load(source, place) if width >= LANES else load_part(source, place, width, part)
                        z = value + scalar(shifts, g * BITS + j)
                        word = word | select(z < ZERO, splat(np.uint16(1 << j)), splat(np.uint16(0)))
                    store_word(out, target + (y + 1) * line + 1 + at, width, word, whole)
        set_border(words, s * size, planes, height, width, border)
    hold(workspace)
    hold(row)


@kernel()
def unpack_signs(words: Array, x: Array) -> None:
    """The inverse: words (N, planes, H + 2, W + 2) to +-1 (N, 16 * planes, H, W)."""
    n, channels, height, width = x.shape
    for s in range(n):
        for c in range(channels):
            for y in range(height):
                for v in range(width):
                    bit = (words[s, c // BITS, y + 1, v + 1] >> (c % BITS)) & 1
                    x[s, c, y, v] = np.float32(1) - np.float32(2 * bit)


@kernel()
def filter_words(signs: Array, words: Array) -> None:
    """As `npbsrn.kernels.bits.pack_filters`: (O, C, k, k), +-1, to (O * P * k * k,) uint16, C a multiple of 16."""
    outputs, channels, size, _ = signs.shape
    taps, planes, at = size * size, channels // BITS, 0
    flat = signs.ravel()
    for first in range(0, planes, GROUP):
        for o in range(outputs):
            for plane in range(first, min(first + GROUP, planes)):
                own = words[at : at + taps]
                own[:] = 0
                for j in range(BITS):
                    source = (o * channels + BITS * plane + j) * taps
                    for tap in range(taps):
                        own[tap] |= np.uint16(flat[source + tap] < 0) << np.uint16(j)
                at += taps
