"""What the packed engine is made of, by one thread: its binary convolutions alone, and where all of its time goes."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.ceilings import (
    TURNS,
    aligned_zeros,
    seconds_together,
)
from benchmarks.parts import Part
from benchmarks.step_table import ALONE, IN_PLACE, LEFT, Row
from npbsrn.kernels.simd import I64, at, data
from npbsrn.networks import FACTORS
from npbsrn.ops.conv import conv2d
from npbsrn.packed import engine as engine_module
from npbsrn.packed import kernels
from npbsrn.packed.engine import Engine
from npbsrn.packed.fold import Folded
from npbsrn.packed.kernels import CHOSEN, count1, count3
from npbsrn.packed.pack import TILE, pack_filters, pack_picture, planes_of

Array = np.ndarray[Any, Any]

WIDTH = 48  # channels
PLANES = 3
MACS3 = 9 * WIDTH * WIDTH  # of a 3x3 convolution, a pixel
KERNEL = "popcount, 512 bits" if CHOSEN.by_word else "popcount by bytes, 256 bits"


# --- the most that xor, popcount and addition give, in the vectors that the engine's kernels have ---

COUNTED, ELEMENT = CHOSEN.counted, np.uint16 if CHOSEN.by_word else np.uint8
INPUTS, SUMS = (12, 12) if CHOSEN.by_word else (24, 4)  # vectors: of those that were tried, what gives most


@intrinsic
def _popcount_sums(typing: Any, values: Any, turns: Any) -> Any:
    """In each turn ``sums[k % SUMS] += popcount(values[k] ^ other)`` for all inputs, and another `other`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = data(context, builder, signature, args, 0)
        places = [at(builder, base, ir.Constant(I64, k * COUNTED.count), COUNTED) for k in range(INPUTS)]
        inputs = [builder.load(place, align=64) for place in places]
        sums = [cgutils.alloca_once_value(builder, value) for value in inputs[:SUMS]]
        other, step = cgutils.alloca_once_value(builder, inputs[0]), ir.Constant(COUNTED, [1] * COUNTED.count)
        with cgutils.for_range(builder, args[1]):
            builder.store(builder.add(builder.load(other), step), other)
            for k, value in enumerate(inputs):
                ones = kernels.ones(builder, builder.xor(value, builder.load(other)), COUNTED)
                builder.store(builder.add(builder.load(sums[k % SUMS]), ones), sums[k % SUMS])
        for place, slot in zip(places, sums, strict=False):  # what nobody reads LLVM would leave out
            builder.store(builder.load(slot), place, align=64)
        return context.get_dummy_value()

    return types.void(values, types.intp), codegen


@njit(nogil=True)
def _popcounts(values: Array, turns: int) -> None:
    _popcount_sums(values, turns)


def popcount_ceiling() -> float:
    """Multiply-accumulates a second of one thread."""
    values = aligned_zeros(INPUTS * COUNTED.count, ELEMENT)
    values[:] = np.random.default_rng(0).integers(0, 256, values.size)
    bits = COUNTED.count * COUNTED.element.width
    return TURNS * INPUTS * bits / float(seconds_together(_popcounts, [(values, TURNS)]).min())


# --- the 3x3 convolution by popcount ---


class BinaryConvolution:
    """Bits of a picture and of filters, 48 channels to 48, and room for counts.

    Parameters
    ----------
    height, width : int
        The width is a multiple of 32.
    """

    def __init__(self, height: int, width: int) -> None:
        rng = np.random.default_rng(0)
        self.negative, self.signs = rng.random((WIDTH, height, width)) < 0.5, rng.choice([-1, 1], (WIDTH, WIDTH, 3, 3))
        self.bits = pack_picture(self.negative, width + 2)
        self.words = pack_filters(self.signs)
        self.counts = aligned_zeros(height * width * WIDTH, np.uint16).reshape(height, width // TILE, WIDTH, TILE)

    def run(self) -> None:
        """Bits in, counts out."""
        _counts3(self.bits, self.words, self.counts)

    def planes(self) -> Array:
        """The counts by channel: (48, H, W)."""
        height, tiles, _, _ = self.counts.shape
        return self.counts.transpose(2, 0, 1, 3).reshape(WIDTH, height, tiles * TILE)


@njit(nogil=True)
def _counts3(bits: Array, words: Array, counts: Array) -> None:
    plane, row, flat = bits.shape[2], PLANES * bits.shape[2], bits.ravel()
    height, tiles = counts.shape[:2]
    for y in range(height):
        for t in range(tiles):
            count3(flat, y * row + t * TILE, row, plane, PLANES, words, 0, WIDTH, counts[y, t].ravel())


# --- where a whole run's time goes ---


@njit(nogil=True)
def _count_blocks(bits: Array, words3: Array, words1: Array, counts: Array) -> None:
    """The binary convolutions of all blocks; the counts stay in the first cache, as in the engine."""
    rows, planes, plane = bits.shape
    row, channels, flat = planes * plane, len(counts) // TILE, bits.ravel()
    for b in range(len(words3)):
        for y in range(rows - 2):
            for t in range((plane - 2) // TILE):
                place = y * row + t * TILE
                count3(flat, place, row, plane, planes, words3[b], 0, channels, counts)
                for n in range(2):
                    count1(flat, place + row + 1, plane, planes, words1[b, n], 0, channels, counts)


def seconds_of_counts(engine: Engine, height: int, width: int, repeats: int) -> float:
    """Median seconds of all binary convolutions of a picture, whose width is a multiple of 32, by themselves."""
    shape = height + 2, planes_of(engine.channels), width + 2
    bits = np.random.default_rng(0).integers(0, 1 << 16, shape, np.uint16)
    job = bits, engine.words3, engine.words1, aligned_zeros(engine.channels * TILE, np.uint16)
    return float(np.median(seconds_together(_count_blocks, [job], repeats)))


Parts = dict[str, Part]
BLOCKS = "blocks"
CONVOLUTIONS = {(3, True): "head", (3, False): "trunk", (5, False): "tail, composed"}  # by size, and if of colours


@contextmanager
def _timed_parts() -> Iterator[Parts]:
    """Within the block, add up seconds and multiply-accumulates of the engine's blocks and float convolutions."""
    parts: Parts = defaultdict(Part)

    def timed(function: Callable[..., Any], name_of: Callable[..., str], work: Callable[..., int]) -> Any:
        def call(*args: Any) -> None:
            start = time.perf_counter()
            function(*args)
            part = parts[name_of(*args)]
            part.seconds += time.perf_counter() - start
            part.work += work(*args)

        return call

    def name(padded: Array, w: Array, y: Array, size: int, *_: int) -> str:
        return CONVOLUTIONS[size, padded.shape[1] == 3]

    def macs(padded: Array, w: Array, y: Array, *_: int) -> int:
        return w.size * y.shape[2] * y.shape[3]

    place = "npbsrn.packed.engine"
    with ExitStack() as stack:
        for own, name_of, work in (("correlate", name, macs), ("blocks_rows", lambda *_: BLOCKS, lambda *_: 0)):
            inner = getattr(engine_module, own)
            stack.enter_context(mock.patch(f"{place}.{own}", timed(inner, name_of, work)))
        yield parts


def whole_and_parts(engine: Engine, picture: Array, repeats: int) -> tuple[float, Parts]:
    """Seconds of a run by one thread and of its parts: those of the run in the middle, so that they add up."""
    runs: list[tuple[float, Parts]] = []
    engine.run(picture, threads=1)
    for _ in range(repeats):
        with _timed_parts() as parts:
            start = time.perf_counter()
            engine.run(picture, threads=1)
            runs.append((time.perf_counter() - start, parts))
    return sorted(runs, key=lambda run: run[0])[repeats // 2]


def rows_of(whole: float, parts: Parts, counts: float, macs: int, popcount: float, fma: float) -> list[Row]:
    """The table, by the rates of one thread; `macs` are those of the binary convolutions."""
    rows = [
        Row("binary convolutions", counts, ALONE, "popcount", macs / popcount),
        Row("scale, PReLU, E, threshold, packing", parts.pop(BLOCKS).seconds - counts, LEFT),
    ]
    for name, part in parts.items():
        rows.append(Row(f"float convolution: {name}", part.seconds, IN_PLACE, "FMA", part.work / fma))
    return [*rows, Row("rounding, shuffle, copies, Python", whole - sum(row.seconds for row in rows), LEFT)]


def seconds_of_plain_tail(folded: Folded, height: int, width: int, repeats: int) -> float:
    """Median seconds of the tail's convolutions one by one, by npbsrn's own kernel; the shuffles are not timed."""
    factors = FACTORS[int(folded.config["scale"])]
    times = []
    for _ in range(repeats + 1):
        seconds, extent = 0.0, np.array([height, width])
        for (w, bias), factor in zip(folded.tail, (*factors, 1), strict=True):
            x = np.zeros((1, w.shape[1], *extent), np.float32)
            start = time.perf_counter()
            conv2d(x, w, bias)
            seconds += time.perf_counter() - start
            extent *= factor
        times.append(seconds)
    return float(np.median(times[1:]))
