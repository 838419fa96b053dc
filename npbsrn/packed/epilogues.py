"""Epilogues: what happens between two binary convolutions, at one tile of 32 pixels.

They go from the counts of products of -1 to the step's result, and from there to the words that the next step reads;
see `npbsrn.packed.plan.Step` for the algebra. Arrays are passed as `npbsrn.kernels.memory.Memory`.

Every number is computed by the operations of the layers, in their order and with their roundings, because one sign that
differs would change the picture around it.

Without E, a value does not depend on other channels, so one pass goes from counts to words. With E there are two
passes, because E(A) is a mean over the channels.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import BITS, TILE
from npbsrn.kernels.jit import inlined, part
from npbsrn.kernels.memory import load, scalar, store, store_words
from npbsrn.kernels.simd import LANES, divide, fused, magnitude, no_bits, push_sign, select, splat, to_float
from npbsrn.packed.program import ABS, NONE, NOTHING

ZERO, ONE, MINUS_TWO = np.float32(0), np.float32(1), np.float32(-2)


class Workspace(NamedTuple):
    """One worker's workspace, for the n tiles that are counted at once: memory."""

    counts: Any  # (n * C * 32,) uint16: of the newest convolution
    sums: Any  # (n * C * 32,) float32: of several convolutions
    bits: Any  # (N * P * n * 32,) uint16: what a 1x1 convolution takes in
    places: Any  # (K,) int64: of the terms in `values`


class Result(NamedTuple):
    """How a step's result is computed and stored: places in the floats and values, and its inputs."""

    channels: int
    own: int  # where the tile's counts or sums begin
    single: bool  # whether it is made of the counts of one convolution, else of `Workspace.sums`
    taps: np.float32  # products in a sum
    factor: int
    offset: int
    slope: int
    added: int
    amount: np.float32
    target: int
    kept: bool


class Bits(NamedTuple):
    """Which words to make: for one base of a step's input."""

    channels: int
    terms: int
    weight: int
    shift: int
    where: int
    plane: int


@part()
def add_counts(
    begin: bool, first: int, taps: Any, channels: int, floats: Any, factor: int, offset: int, workspace: Workspace
) -> None:
    """One more pair of bases: ``S * factor + offset`` at first, then ``fma(S, factor, sums)``, S of the counts."""
    for c in range(channels):
        for at in (first + c * TILE, first + c * TILE + LANES):
            products = fused(to_float(load(workspace.counts, at)), MINUS_TWO, taps)
            own = scalar(floats, factor + c)
            if begin:
                store(workspace.sums, at, products * own + splat(scalar(floats, offset + c)))
            else:
                store(workspace.sums, at, fused(products, own, load(workspace.sums, at)))


@inlined
def _result(at: int, c: int, own: Result, sloped: Any, floats: Any, values: Any, workspace: Workspace) -> Any:
    """The result of a step, for one channel at 16 pixels."""
    if own.single:
        products = fused(to_float(load(workspace.counts, own.own + at)), MINUS_TWO, own.taps)
        y = products * scalar(floats, own.factor + c) + splat(scalar(floats, own.offset + c))
    else:
        y = load(workspace.sums, own.own + at)
    if sloped is not None:
        y = select(y > ZERO, y, y * scalar(floats, own.slope + c))
    if own.added != NOTHING:
        y = fused(y, own.amount, load(values, own.added + at))
    return y


@part()
def result_to_bits(
    own: Result, after: Bits, sloped: Any, floats: Any, values: Any, workspace: Workspace, bits: Any
) -> None:
    """A step's result, and the words that the next step reads, without E."""
    channels, newest = own.channels, after.weight + (after.terms - 1) * own.channels
    first = scalar(workspace.places, 0)
    for g in range(0, channels, BITS):
        left, right = no_bits(), no_bits()
        for c in range(min(g + BITS, channels) - 1, g - 1, -1):
            at = c * TILE
            a = _result(at, c, own, sloped, floats, values, workspace)
            b = _result(at + LANES, c, own, sloped, floats, values, workspace)
            y = splat(scalar(floats, after.shift + c))
            z = y
            if after.terms > 1:
                place, weight = first + at, scalar(floats, after.weight + c)
                y, z = fused(load(values, place), weight, y), fused(load(values, place + LANES), weight, z)
                for k in range(1, after.terms - 1):
                    place, weight = scalar(workspace.places, k) + at, scalar(floats, after.weight + k * channels + c)
                    y, z = fused(load(values, place), weight, y), fused(load(values, place + LANES), weight, z)
            weight = scalar(floats, newest + c)
            left, right = push_sign(left, fused(a, weight, y)), push_sign(right, fused(b, weight, z))
            if own.kept:
                store(values, own.target + at, a)
                store(values, own.target + at + LANES, b)
        store_words(bits, after.where + g // BITS * after.plane, left, right)


@part()
def result_alone(own: Result, sloped: Any, floats: Any, values: Any, workspace: Workspace) -> None:
    """A step's result."""
    for c in range(own.channels):
        for at in (c * TILE, c * TILE + LANES):
            store(values, own.target + at, _result(at, c, own, sloped, floats, values, workspace))


@part()
def result_with_mean(own: Result, statistic: int, sloped: Any, floats: Any, values: Any, workspace: Workspace) -> None:
    """A step's result, followed by its E."""
    left = right = splat(ZERO)
    for c in range(own.channels):
        at = c * TILE
        a = _result(at, c, own, sloped, floats, values, workspace)
        b = _result(at + LANES, c, own, sloped, floats, values, workspace)
        store(values, own.target + at, a)
        store(values, own.target + at + LANES, b)
        left = left + (magnitude(a) if statistic == ABS else a)
        right = right + (magnitude(b) if statistic == ABS else b)
    _put_mean(own.channels, statistic, own.target, left, right, values)


@part()
def mean_of(channels: int, statistic: int, place: int, values: Any) -> None:
    """Append E to an existing value."""
    left = right = splat(ZERO)
    for c in range(channels):
        a, b = load(values, place + c * TILE), load(values, place + c * TILE + LANES)
        left = left + (magnitude(a) if statistic == ABS else a)
        right = right + (magnitude(b) if statistic == ABS else b)
    _put_mean(channels, statistic, place, left, right, values)


@inlined
def _put_mean(channels: int, statistic: int, place: int, left: Any, right: Any, values: Any) -> None:
    at = place + channels * TILE
    if statistic != NONE:
        store(values, at, divide(left, np.float32(channels)))
        store(values, at + LANES, divide(right, np.float32(channels)))
    else:
        store(values, at, splat(ONE))
        store(values, at + LANES, splat(ONE))


@inlined
def _add_term(place: int, at: int, mean: int, weight: Any, z: Any, weighted: Any, values: Any) -> Any:
    """``z + weight E(A) A``, of one channel at 16 pixels; E stands at `mean`."""
    a = load(values, place + at)
    if weighted is not None:
        a = a * load(values, place + mean)
    return fused(a, weight, z)


@part()
def to_bits(own: Bits, weighted: Any, floats: Any, values: Any, workspace: Workspace, bits: Any) -> None:
    """The words of one base, from existing terms."""
    channels, first, second = own.channels, scalar(workspace.places, 0), scalar(workspace.places, 1)
    mean = channels * TILE
    for g in range(0, channels, BITS):
        left, right = no_bits(), no_bits()
        for c in range(min(g + BITS, channels) - 1, g - 1, -1):
            at, y = c * TILE, splat(scalar(floats, own.shift + c))
            weight = scalar(floats, own.weight + c)
            z = _add_term(first, at + LANES, mean + LANES, weight, y, weighted, values)
            y = _add_term(first, at, mean, weight, y, weighted, values)
            if own.terms > 1:
                weight = scalar(floats, own.weight + channels + c)
                z = _add_term(second, at + LANES, mean + LANES, weight, z, weighted, values)
                y = _add_term(second, at, mean, weight, y, weighted, values)
            for k in range(2, own.terms):
                place, weight = scalar(workspace.places, k), scalar(floats, own.weight + k * channels + c)
                z = _add_term(place, at + LANES, mean + LANES, weight, z, weighted, values)
                y = _add_term(place, at, mean, weight, y, weighted, values)
            left, right = push_sign(left, y), push_sign(right, z)
        store_words(bits, own.where + g // BITS * own.plane, left, right)
