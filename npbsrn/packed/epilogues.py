"""What stands between the binary convolutions of an LB-block, at one tile of 32 pixels.

A_0 is the block's input, A_1 and A_2 are the activations of the scaled sums of its first two convolutions. Each of the
three convolutions takes in the signs of ``shift[n] + sum_k weight[n, k] E(A_k) A_k``, k up to n: see `Coefficients` in
`npbsrn.packed.lower`. Arrays are handed on as `npbsrn.kernels.memory.Memory`.

Each number is made by the operations of `npbsrn.layers.binary.BinaryBlock` and `npbsrn.binarizers.bam.Bam` in their
order, with their roundings: one sign that differs would change the picture around it.

Without E a number's neighbours among the channels do not matter, and so one pass goes from counts to words. With E
there are several: E(A_k) is a mean over the channels.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS, TILE
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import load, scalar, store, store_words
from npbsrn.kernels.simd import LANES, divide, fused, magnitude, no_bits, push_sign, select, splat, to_float
from npbsrn.packed.lower import ABS

ZERO, MINUS_TWO = np.float32(0), np.float32(-2)


class Room(NamedTuple):
    """One worker's workspace, for one tile: memory."""

    counts: Any  # (C * 32,) uint16: of the newest convolution
    terms: Any  # (3 * C * 32,) float32: E(A_k) A_k; the first third is unused where there is no E
    bits: Any  # (P * 32,) uint16: what a 1x1 convolution takes in


class Own(NamedTuple):
    """`Coefficients` as memory, and the number of channels; slope and statistic, which may be None, go beside it."""

    channels: int
    weight: Any
    shift: Any
    scale: Any
    residual: np.float32


@kernel(forceinline=True)
def _scaled(counts: Any, at: int, taps: Any, scale: Any) -> Any:
    """At 16 pixels, the scaled sums of products of signs, from how many are -1."""
    return fused(to_float(load(counts, at)), MINUS_TWO, taps) * scale


@kernel(forceinline=True)
def _prelu(y: Any, slope: Any, at: int) -> Any:
    if slope is None:
        return y
    return select(y > ZERO, y, y * scalar(slope, at))


@kernel(forceinline=True)
def _accumulate(
    terms: int, x: Any, place: int, others: Any, at: int, size: int, own: Own, shift: int, weight: int
) -> Any:
    """``shift + sum_k weight_k E(A_k) A_k`` over the first `terms` terms, of one channel at 16 pixels."""
    z = fused(load(x, place), scalar(own.weight, weight), splat(scalar(own.shift, shift)))
    for k in range(1, terms):
        z = fused(load(others, k * size + at), scalar(own.weight, weight + k * own.channels), z)
    return z


# --- without E ---


@kernel(forceinline=True)
def counts_to_bits(n: int, taps: int, x: Any, place: int, b: int, own: Own, slope: Any, room: Room) -> None:
    """From the counts of convolution n - 1 to the words that convolution n takes in; n is 1 or 2."""
    channels, products = own.channels, np.float32(taps)
    size, own_n, before, slopes = channels * TILE, (3 * b + n) * channels, (3 * b + n - 1) * channels, 2 * b + n - 1
    for g in range(0, channels, BITS):
        left, right = no_bits(), no_bits()
        for c in range(min(g + BITS, channels) - 1, g - 1, -1):
            at, shift, weight, scale = c * TILE, own_n + c, 3 * own_n + c, scalar(own.scale, before + c)
            a = _prelu(_scaled(room.counts, at, products, scale), slope, slopes * channels + c)
            other = _prelu(_scaled(room.counts, at + LANES, products, scale), slope, slopes * channels + c)
            z = _accumulate(n, x, place + at, room.terms, at, size, own, shift, weight)
            y = _accumulate(n, x, place + at + LANES, room.terms, at + LANES, size, own, shift, weight)
            factor = scalar(own.weight, weight + n * channels)
            left, right = push_sign(left, fused(a, factor, z)), push_sign(right, fused(other, factor, y))
            if n == 1:  # which the last convolution asks for again
                store(room.terms, size + at, a)
                store(room.terms, size + at + LANES, other)
        store_words(room.bits, g // BITS * TILE, left, right)


@kernel(forceinline=True)
def output_to_bits(x: Any, place: int, b: int, own: Own, counts: Any, bits: Any, where: int, plane: int) -> None:
    """The block's end, and the words that the next block takes in."""
    channels, products = own.channels, np.float32(own.channels)
    before, following = (3 * b + 2) * channels, (3 * b + 3) * channels
    for g in range(0, channels, BITS):
        left, right = no_bits(), no_bits()
        for c in range(min(g + BITS, channels) - 1, g - 1, -1):
            at, scale = c * TILE, scalar(own.scale, before + c)
            y = fused(_scaled(counts, at, products, scale), own.residual, load(x, place + at))
            z = fused(_scaled(counts, at + LANES, products, scale), own.residual, load(x, place + at + LANES))
            weight, shift = scalar(own.weight, 3 * following + c), splat(scalar(own.shift, following + c))
            left, right = push_sign(left, fused(y, weight, shift)), push_sign(right, fused(z, weight, shift))
            store(x, place + at, y)
            store(x, place + at + LANES, z)
        store_words(bits, where + g // BITS * plane, left, right)


# --- with E, or at the ends ---


@kernel(forceinline=True)
def _mean(a: Any, source: int, channels: int, statistic: int) -> Any:
    """E(A) at 16 pixels."""
    total = splat(ZERO)
    for c in range(channels):
        value = load(a, source + c * TILE)
        total = total + (magnitude(value) if statistic == ABS else value)
    return divide(total, np.float32(channels))


@kernel(forceinline=True)
def weight_by_statistic(a: Any, source: int, out: Any, target: int, channels: int, statistic: int) -> None:
    """``E(A) * A`` at 32 pixels."""
    left, right = _mean(a, source, channels, statistic), _mean(a, source + LANES, channels, statistic)
    for c in range(channels):
        at = c * TILE
        store(out, target + at, load(a, source + at) * left)
        store(out, target + at + LANES, load(a, source + at + LANES) * right)


@kernel(forceinline=True)
def activate(k: int, taps: int, b: int, own: Own, slope: Any, statistic: int, room: Room) -> None:
    """``E(A_k) A_k`` from the counts of convolution k - 1."""
    channels, products = own.channels, np.float32(taps)
    first, scales, slopes = k * channels * TILE, (3 * b + k - 1) * channels, (2 * b + k - 1) * channels
    for c in range(channels):
        at, scale = c * TILE, scalar(own.scale, scales + c)
        for half in (at, at + LANES):
            store(room.terms, first + half, _prelu(_scaled(room.counts, half, products, scale), slope, slopes + c))
    weight_by_statistic(room.terms, first, room.terms, first, channels, statistic)


@kernel(forceinline=True)
def binarize(n: int, x: Any, place: int, b: int, own: Own, terms: Any, bits: Any, where: int, plane: int) -> None:
    """The words that convolution n takes in. E(A_0) A_0 is at `place` of x, which may be `terms`, the others there."""
    channels = own.channels
    size, first = channels * TILE, (3 * b + n) * channels
    for g in range(0, channels, BITS):
        left, right = no_bits(), no_bits()
        for c in range(min(g + BITS, channels) - 1, g - 1, -1):
            at, shift, weight = c * TILE, first + c, 3 * first + c
            z = _accumulate(n + 1, x, place + at, terms, at, size, own, shift, weight)
            y = _accumulate(n + 1, x, place + at + LANES, terms, at + LANES, size, own, shift, weight)
            left, right = push_sign(left, z), push_sign(right, y)
        store_words(bits, where + g // BITS * plane, left, right)


@kernel(forceinline=True)
def add_output(x: Any, place: int, b: int, own: Own, counts: Any) -> None:
    """The block's end: ``x += residual * (scale * C_3)``."""
    channels, scales = own.channels, (3 * b + 2) * own.channels
    for c in range(channels):
        at, scale = c * TILE, scalar(own.scale, scales + c)
        for half in (at, at + LANES):
            sums = _scaled(counts, half, np.float32(channels), scale)
            store(x, place + half, fused(sums, own.residual, load(x, place + half)))
