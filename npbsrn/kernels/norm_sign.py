"""Batch normalisation in front of a sign, in training: signs as words, and the backward pass.

Its statistics are those of `npbsrn.kernels.moments`, whose order of sums applies here, too.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import ask, ask_to_write, hold, load, memory, put, scalar, store
from npbsrn.kernels.norm import give, take
from npbsrn.kernels.pack import set_border, store_word
from npbsrn.kernels.simd import LANES, magnitude, select, splat, total

Array = np.ndarray[Any, Any]

PRELU = 5  # in place of a stand-in: no sign
IDENTITY, CLIP, BIREAL, WINDOW, STEEP = 0, 1, 2, 3, 4  # stand-ins for the gradient of a sign, see npbsrn.ops.sign
TERMS, SUMS, TOTAL = 0, 1, 2  # what `signs_back` fills, see there
NUMBERS = 8  # of a channel, see `npbsrn.ops.pending.Pending`
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)


@part(forceinline=True)
def _normal(values: Any, factor: Any, place: int, count: int, mean: Any, inverse: Any, workspace: Any) -> Any:
    """16 normalised values, of which `count` are there; a `factor` that is not None comes first."""
    value = take(values, place, count, workspace)
    if factor is not None:
        value = value * factor
    return (value - mean) * inverse


@kernel()
def pack_normal(
    values: Array, factor: Any, mean: Array, inverse: Array, gain: Array, shift: Array, offset: Any, border: int,
    words: Array, shape: tuple[int, int, int, int], low: int, high: int,
) -> None:  # fmt: skip
    """Signs of ``gain * normal + shift + offset`` of the samples `low` to `high`, as words.

    Parameters
    ----------
    values : float32
        Flat (N, C, H, W), C a multiple of 16.
    factor : float32, or None
        On the values.
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
                        normal = _normal(x, factor, place, width, scalar(means, c), scalar(inverses, c), part)
                        z = normal * scalar(gains, c) + scalar(shifts, c) + offset
                        word = word | select(z < ZERO, splat(np.uint16(1 << j)), splat(np.uint16(0)))
                    store_word(out, target + (y + 1) * line + 1 + at, width, word, whole)
        set_border(words, s * size, planes, height, width, border)
    hold(workspace)
    hold(row)


@part(forceinline=True)
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


@part(forceinline=True)
def _from_signs(
    dbits: Any, bases: int, size: int, place: int, count: int, z: Any, offsets: Any, ste: int, along: Any,
    workspace: Any,
) -> Any:  # fmt: skip
    """Cotangent of z from those of all its signs; the parts by base are added to `along` (bases, 16)."""
    dz = splat(ZERO)
    for j in range(bases):
        at = j * size + place
        d = passed(take(dbits, at, count, workspace), z + scalar(offsets, j), ste)
        if bases > 1:
            store(along, j * LANES, load(along, j * LANES) + d)
        dz = dz + d
    return dz


@part(forceinline=True)
def _terms_back(
    own: Any, terms: tuple[Array, ...], weights: Array, first: int, pixels: int, ahead: int, task: int,
    dterms: tuple[Array, ...], sums: Any, workspace: Any,
) -> None:  # fmt: skip
    """Pull back ``sum_k weights[k] terms[k]`` at the pixels from `first` on; its cotangent is `own`.

    What each weight gets is added to `sums` (K, 16). Beyond the last pixel `own` may be any finite number, but no
    NaN: zeros stand beside it there.
    """
    for k in range(len(weights)):
        term, dterm, weight = memory(terms[k]), memory(dterms[k]), weights[k]
        along = load(sums, k * LANES)
        for v in range(0, pixels, LANES):
            d = load(own, v)
            ask(term, first + v + ahead)
            if task == TERMS:
                ask_to_write(dterm, first + v + ahead)
                give(dterm, first + v, pixels - v, d * weight, workspace)
            elif k == 0:
                ask_to_write(dterm, first + v + ahead)
                give(dterm, first + v, pixels - v, d, workspace)
            along = along + d * take(term, first + v, pixels - v, workspace)
        store(sums, k * LANES, along)


@kernel()
def signs_back(
    dbits: Array, values: Array, own_factor: Any, mean: Array, inverse: Array, gain: Array, shift: Array,
    offsets: Array, terms: tuple[Array, ...], weights: Array, ste: int, shape: tuple[int, int, int], low: int,
    high: int, task: int, given: bool, count: int, dterms: tuple[Array, ...], dweights: Array, dgain: Array,
    dshift: Array, doffsets: Array,
) -> None:  # fmt: skip
    """Pull back signs through BN and the sum of terms, of the channels `low` to `high`.

    With y the normalised values: ``dx = gain * inverse * (dz - mean(dz) - y mean(dz y))``, then ``dterms[k] =
    weights[k] dx`` and ``dweights[k] = <terms[k], dx>``.

    Parameters
    ----------
    dbits : float32
        Flat (bases, N, C, pixels).
    values, own_factor, mean, inverse, gain, shift
        See `pack_normal`.
    offsets : (bases,) float32
    terms, weights
        See `npbsrn.kernels.moments.take_channel`.
    ste : int
        `IDENTITY`, `CLIP`, `BIREAL`, `WINDOW` or `STEEP`.
    shape : (N, C, pixels)
    low, high : int
    task : int
        `TERMS`, `SUMS`: `dterms` and `dweights` are left alone, or `TOTAL`.
    given : bool
        Whether `dgain` and `dshift` are given, as sums over a batch of which the values are a shard; `doffsets` is left
        alone then.
    count : int
        Values of a channel in the batch.
    dterms : K flat arrays (N, C, pixels), float32
        Filled; of `TOTAL`, the first one is, with dx.
    dweights : (C, K) float32
        Filled.
    dgain, dshift : (C,) float32
        Filled unless `given`.
    doffsets : (C, bases) float32
        Filled.
    """
    n, channels, pixels = shape
    bases, size, number = len(offsets), n * channels * pixels, np.float32(count)
    part, sums = np.empty(LANES, np.float32), np.empty((bases + len(weights)) * LANES, np.float32)
    totals = np.empty(pixels + LANES, np.float32)  # cotangents of a sample's sum
    d, x, places = memory(dbits), memory(values), memory(offsets)
    workspace, along, own = memory(part), memory(sums), memory(totals)
    by_weight, ahead = memory(sums[bases * LANES :]), channels * pixels  # this channel of the next sample is asked for
    for c in range(low, high):
        m, i, g, b = mean[c], inverse[c], gain[c], shift[c]
        ones, products = splat(ZERO), splat(ZERO)
        sums[:] = ZERO
        for s in range(0 if given else n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                left = pixels - v
                for j in range(bases):
                    ask(d, j * size + first + v + ahead)
                ask(x, first + v + ahead)
                normal = _normal(x, own_factor, first + v, left, m, i, workspace)
                dz = _from_signs(d, bases, size, first + v, left, normal * g + b, places, ste, along, workspace)
                ones = ones + dz
                products = products + dz * normal
        if not given:
            dshift[c], dgain[c] = total(ones), total(products)
            for j in range(bases):
                doffsets[c, j] = total(load(along, j * LANES)) if bases > 1 else dshift[c]
        if task == SUMS:
            continue
        one, y, factor = dshift[c] / number, dgain[c] / number, g * i
        for s in range(n):
            first = (s * channels + c) * pixels
            for v in range(0, pixels, LANES):
                left = pixels - v
                normal = _normal(x, own_factor, first + v, left, m, i, workspace)
                dz = _from_signs(d, bases, size, first + v, left, normal * g + b, places, ste, along, workspace)
                dx = (dz - one - normal * y) * factor
                if len(weights) > 0:
                    store(own, v, dx)
                else:
                    ask_to_write(memory(dterms[0]), first + v + ahead)
                    give(memory(dterms[0]), first + v, left, dx, workspace)
            _terms_back(own, terms, weights, first, pixels, ahead, task, dterms, by_weight, workspace)
        for k in range(len(weights)):
            dweights[c, k] = total(load(by_weight, k * LANES))
    hold(part)
    hold(sums)
    hold(totals)


class Behind(NamedTuple):
    """What stands behind a convolution: a BN, and signs or PReLU, through which a cotangent is still to come.

    Without them all arrays are empty. See `npbsrn.ops.pending.Pending`.
    """

    values: Any
    norm: Any
    offsets: Any
    ste: int


@part(forceinline=True)
def value_back(
    dbits: Any, size: int, place: int, count: int, behind: Behind, bases: int, c: int, workspace: Any
) -> Any:
    """The cotangent of 16 values of channel c, as `signs_back` makes it; `count` are there, the others are 0."""
    norm, at = behind.norm, c * NUMBERS
    normal = _normal(behind.values, None, place, count, scalar(norm, at), scalar(norm, at + 1), workspace)
    z, dz = normal * scalar(norm, at + 2) + scalar(norm, at + 3), splat(ZERO)
    for j in range(bases):
        d = take(dbits, j * size + place, count, workspace)
        if behind.ste == PRELU:
            dz = select(z > ZERO, d, d * scalar(norm, at + 7))
        else:
            dz = dz + passed(d, z + scalar(behind.offsets, j), behind.ste)
    dx = (dz - scalar(norm, at + 4) - normal * scalar(norm, at + 5)) * scalar(norm, at + 6)
    if count < LANES:
        store(workspace, 0, dx)
        for k in range(count, LANES):
            put(workspace, k, ZERO)
        return load(workspace, 0)
    return dx


@kernel()
def values_back(
    dbits: Array, values: Array, norm: Array, offsets: Array, ste: int, pixels: int, low: int, high: int, dx: Array
) -> None:
    """`value_back` of the planes `low` to `high` of all samples' channels, to dx (N, C, pixels).

    Parameters
    ----------
    dbits, values, norm, offsets, ste
        See `npbsrn.ops.pending.Pending`.
    pixels, low, high : int
    dx : float32
        Like `values`, filled.
    """
    workspace, channels = np.empty(LANES, np.float32), len(norm)
    d, out, rest = memory(dbits), memory(dx), memory(workspace)
    behind = Behind(memory(values), memory(norm), memory(offsets), ste)
    for plane in range(low, high):
        for v in range(0, pixels, LANES):
            place, count = plane * pixels + v, pixels - v
            dvalue = value_back(d, values.size, place, count, behind, len(offsets), plane % channels, rest)
            give(out, place, count, dvalue, rest)
    hold(workspace)
