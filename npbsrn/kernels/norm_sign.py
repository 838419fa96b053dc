"""Batch normalisation in front of a sign, in training: statistics, signs as words, and the backward pass.

One thread handles everything that belongs to a channel: no sum is split, so no result depends on the number of threads,
and a channel of a batch stays in the L2 cache between its passes.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.filters import EPS, total_by_halves
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import hold, load, memory, scalar, store
from npbsrn.kernels.pack import load_part, set_border, store_part, store_word
from npbsrn.kernels.simd import LANES, magnitude, select, splat, total

Array = np.ndarray[Any, Any]

IDENTITY, CLIP, BIREAL, WINDOW, STEEP = 0, 1, 2, 3, 4  # stand-ins for the gradient of a sign, see npbsrn.ops.sign
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)


@kernel(forceinline=True)
def _first_half(
    wide: Array, half: int, at: int, values: Array, place: int, count: int, mean: Any, square: bool
) -> None:
    """Let `count` values, or squares of their deviations, which begin at `at`, take the first step of halving."""
    for k in range(count):
        value = values[place + k] - mean
        number = np.float64(value * value) if square else np.float64(values[place + k])
        if at + k < half:
            wide[at + k] = number
        else:
            wide[at + k - half] += number


@kernel(forceinline=True)
def _mean(values: Array, c: int, shape: tuple[int, int, int], mean: Any, square: bool, wide: Array) -> Any:
    """Mean of a channel, or of the squares of its deviations, as `npbsrn.ops.sums.mean_over`."""
    n, channels, pixels = shape
    count = n * pixels
    half = (count + 1) // 2
    for s in range(n):
        at, place = s * pixels, (s * channels + c) * pixels
        before = min(max(half - at, 0), pixels)  # of the first half
        _first_half(wide, half, at, values, place, before, mean, square)
        _first_half(wide, half, at + before, values, place + before, pixels - before, mean, square)
    return np.float32(total_by_halves(wide, half) / count)


@kernel()
def channel_moments(
    values: Array, shape: tuple[int, int, int], low: int, high: int, mean: Array, variance: Array, inverse: Array
) -> None:
    """Statistics of the channels `low` to `high`, to the bit those of `npbsrn.ops.norm.standardize`.

    Parameters
    ----------
    values : float32
        Flat (N, C, pixels).
    shape : (N, C, pixels)
    low, high : int
    mean, variance, inverse : (C,) float32
        Filled; ``inverse = 1 / sqrt(variance + eps)``.
    """
    wide = np.empty((shape[0] * shape[2] + 1) // 2, np.float64)
    for c in range(low, high):
        mean[c] = _mean(values, c, shape, ZERO, False, wide)
        variance[c] = _mean(values, c, shape, mean[c], True, wide)
        inverse[c] = ONE / np.sqrt(variance[c] + EPS)


@kernel()
def weighted_total(terms: tuple[Array, ...], weights: Array, low: int, high: int, out: Array) -> None:
    """``sum_k weights[k] terms[k]`` of the elements `low` to `high`, as `npbsrn.ops.pointwise.weighted_sum`."""
    for k in range(len(terms)):
        term, weight = terms[k], weights[k]
        if k == 0:
            for i in range(low, high):
                out[i] = term[i] * weight
        else:
            for i in range(low, high):
                out[i] += term[i] * weight


@kernel(forceinline=True)
def _normal(values: Any, place: int, count: int, mean: Any, inverse: Any, workspace: Any) -> Any:
    """16 normalised values, of which `count` are there."""
    x = load(values, place) if count >= LANES else load_part(values, place, count, workspace)
    return (x - mean) * inverse


@kernel()
def pack_normal(
    values: Array, mean: Array, inverse: Array, gain: Array, shift: Array, offset: Any, border: int, words: Array,
    shape: tuple[int, int, int, int], low: int, high: int,
) -> None:  # fmt: skip
    """Signs of ``gain * normal + shift + offset`` of the samples `low` to `high`, as words.

    Parameters
    ----------
    values : float32
        Flat (N, C, H, W), C a multiple of 16.
    mean, inverse, gain, shift : (C,) float32
    offset : float32
    border : int
        The word around the picture.
    words : uint16
        Filled, see `npbsrn.kernels.pack.pack_signs`.
    shape : (N, C, H, W)
    low, high : int
    """
    _, channels, height, width = shape
    planes, line, pixels = channels // BITS, width + 2, height * width
    size, workspace, row = planes * (height + 2) * line, np.empty(LANES, np.float32), np.empty(LANES, np.uint16)
    x, means, inverses, gains, shifts = memory(values), memory(mean), memory(inverse), memory(gain), memory(shift)
    out, part, whole = memory(words), memory(workspace), memory(row)
    for s in range(low, high):
        for g in range(planes):
            target = s * size + g * (height + 2) * line
            for y in range(height):
                for left in range(0, width, LANES):
                    at = max(0, min(left, width - LANES))  # the last vector overlaps the one before it
                    word = splat(np.uint16(0))
                    for j in range(BITS):
                        c = g * BITS + j
                        place = (s * channels + c) * pixels + y * width + at
                        normal = _normal(x, place, width, scalar(means, c), scalar(inverses, c), part)
                        z = normal * scalar(gains, c) + scalar(shifts, c) + offset
                        word = word | select(z < ZERO, splat(np.uint16(1 << j)), splat(np.uint16(0)))
                    store_word(out, target + (y + 1) * line + 1 + at, width, word, whole)
        set_border(words, s * size, planes, height, width, border)
    hold(workspace)
    hold(row)


@kernel(forceinline=True)
def passed(d: Any, z: Any, ste: int) -> Any:
    """What a stand-in lets pass of the sign's cotangent d at z."""
    if ste == IDENTITY:
        return d
    size = magnitude(z)
    if ste == BIREAL:
        return select(size <= ONE, d * (TWO - size * TWO), splat(ZERO))
    if ste == STEEP:
        d = d + d
    return select(size <= (ONE if ste == CLIP else HALF), d, splat(ZERO))


@kernel(forceinline=True)
def _from_signs(
    dbits: Any,
    bases: int,
    size: int,
    place: int,
    count: int,
    z: Any,
    offsets: Any,
    ste: int,
    along: Any,
    workspace: Any,
) -> Any:
    """Cotangent of z from those of all its signs; the parts by base are added to `along` (bases, 16)."""
    dz = splat(ZERO)
    for j in range(bases):
        at = j * size + place
        d = load(dbits, at) if count >= LANES else load_part(dbits, at, count, workspace)
        d = passed(d, z + scalar(offsets, j), ste)
        if bases > 1:
            store(along, j * LANES, load(along, j * LANES) + d)
        dz = dz + d
    return dz


@kernel()
def signs_back(
    dbits: Array, values: Array, mean: Array, inverse: Array, gain: Array, shift: Array, offsets: Array,
    ste: int, shape: tuple[int, int, int], low: int, high: int, dvalues: Array, dgain: Array, dshift: Array,
    doffsets: Array,
) -> None:  # fmt: skip
    """Pull back signs through BN, of the channels `low` to `high`.

    With y the normalised values: ``dx = gain * inverse * (dz - mean(dz) - y mean(dz y))``.

    Parameters
    ----------
    dbits : float32
        Flat (bases, N, C, pixels).
    values, mean, inverse, gain, shift
        See `pack_normal`.
    offsets : (bases,) float32
    ste : int
        `IDENTITY`, `CLIP`, `BIREAL`, `WINDOW` or `STEEP`.
    shape : (N, C, pixels)
    low, high : int
    dvalues : float32
        Like a base's cotangent, filled.
    dgain, dshift : (C,) float32
        Filled.
    doffsets : (C, bases) float32
        Filled.
    """
    n, channels, pixels = shape
    bases, size, number = len(offsets), n * channels * pixels, np.float32(n * pixels)
    part, sums = np.empty(LANES, np.float32), np.empty(bases * LANES, np.float32)
    d, x, out, places = memory(dbits), memory(values), memory(dvalues), memory(offsets)
    workspace, along = memory(part), memory(sums)
    for c in range(low, high):
        m, i, g, b = mean[c], inverse[c], gain[c], shift[c]
        ones, products = splat(ZERO), splat(ZERO)
        sums[:] = ZERO
        for s in range(n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                count = pixels - v
                normal = _normal(x, first + v, count, m, i, workspace)
                dz = _from_signs(d, bases, size, first + v, count, normal * g + b, places, ste, along, workspace)
                ones = ones + dz
                products = products + dz * normal
        dshift[c], dgain[c] = total(ones), total(products)
        for j in range(bases):
            doffsets[c, j] = total(load(along, j * LANES)) if bases > 1 else dshift[c]
        one, y, factor = dshift[c] / number, dgain[c] / number, g * i
        for s in range(n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                count = pixels - v
                normal = _normal(x, first + v, count, m, i, workspace)
                dz = _from_signs(d, bases, size, first + v, count, normal * g + b, places, ste, along, workspace)
                dx = (dz - one - normal * y) * factor
                if count >= LANES:
                    store(out, first + v, dx)
                else:
                    store_part(out, first + v, count, dx, workspace)
    hold(part)
    hold(sums)


@kernel()
def weighted_back(
    dtotal: Array, terms: tuple[Array, ...], weights: Array, low: int, high: int, dterms: tuple[Array, ...],
    dweights: Array,
) -> None:  # fmt: skip
    """Pull back `weighted_total`: ``dterms[k] = weights[k] dtotal``, and ``dweights[k] = <terms[k], dtotal>``.

    Parameters
    ----------
    dtotal : flat float32
    terms, weights, low, high
        See `weighted_total`.
    dterms : tuple like `terms`
        Filled.
    dweights : (K,) float64
        Filled.
    """
    for k in range(len(terms)):
        term, dterm, weight, sums, whole = terms[k], dterms[k], weights[k], splat(ZERO), (high - low) // LANES * LANES
        along = 0.0
        for first in range(low, low + whole, 4096):  # so many numbers are summed in float32
            sums = splat(ZERO)
            for at in range(first, min(first + 4096, low + whole), LANES):
                d = load(dtotal, at)
                store(dterm, at, d * weight)
                sums = sums + d * load(term, at)
            along += total(sums)
        for at in range(low + whole, high):
            dterm[at] = dtotal[at] * weight
            along += term[at] * dtotal[at]
        dweights[k] = along
