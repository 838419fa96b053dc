"""Where the packed engine's time goes, by one thread."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
from numba import njit

from benchmarks.ceilings import aligned_zeros, seconds_together
from benchmarks.counts import NAMES, OWN
from benchmarks.parts import Part
from benchmarks.step_table import ALONE, IN_PLACE, LEFT, Row
from npbsrn.kernels.bits import TILE, pack_filters, planes_of
from npbsrn.kernels.counts import AT_ONCE, arranged, count1, count3, filter_size
from npbsrn.kernels.direct_conv import FEW_ROWS
from npbsrn.kernels.pixel_conv import CHUNK, TILES
from npbsrn.kernels.winograd import Filters
from npbsrn.ops.conv import conv2d
from npbsrn.packed import direct_tail as direct_tail_module
from npbsrn.packed import engine as engine_module
from npbsrn.packed import float_end as float_end_module
from npbsrn.packed.engine import Engine
from npbsrn.packed.plan import Plan

Array = np.ndarray[Any, Any]


@njit(nogil=True)
def _count_all(bits: Array, filters: Array, words: int, sizes: Array, channels: int, counts: Array) -> None:
    """The binary convolutions of all blocks; the counts stay in the first cache, as in the engine."""
    rows, planes, plane = bits.shape
    row, tiles, flat = planes * plane, (plane - 2) // TILE, bits.ravel()
    first = 0
    for size in sizes:
        for y in range(rows - 2):
            for t in range(0, tiles, AT_ONCE):
                place, n = y * row + t * TILE, min(AT_ONCE, tiles - t)
                if size == 3:
                    count3(flat, place, row, plane, planes, n, filters, first, channels, counts)
                else:
                    count1(flat, place + row + 1, plane, planes, n, filters, first, channels, counts)
        first += words * size * size


def convolutions_of(plan: Plan) -> list[Array]:
    """Filters of each binary convolution: one for each pair of bases of a step."""
    return [
        signs for step in plan.steps if step.weight is not None for signs in step.signs for _ in range(len(step.weight))
    ]


def seconds_of_counts(plan: Plan, height: int, width: int, repeats: int) -> float:
    """Median seconds of all binary convolutions of a picture, whose width is a multiple of 32, by themselves."""
    filters, channels = convolutions_of(plan), plan.channels
    shape = height + 2, planes_of(channels), width + 2
    bits = np.random.default_rng(0).integers(0, 1 << 16, shape, np.uint16)
    words = np.concatenate([arranged(pack_filters(w), channels, w.shape[-1]) for w in filters])
    sizes = np.array([w.shape[-1] for w in filters])
    size = filter_size(channels, planes_of(channels))
    job = bits, words, size, sizes, channels, aligned_zeros(AT_ONCE * channels * TILE, np.uint16)
    return float(np.median(seconds_together(_count_all, [job], repeats)))


Parts = dict[str, Part]
BLOCKS, HEAD, TRUNK, TAIL = "blocks", "head", "trunk", "tail, composed"


def _convolved(x: Array, w: Filters, bias: Array, size: int, y: Array, first: int, *_: Array) -> int:
    """Multiply-accumulates of `npbsrn.kernels.pixel_conv.convolve`: of the products, whose filters are `w`."""
    return w.used * len(y) * ((y.shape[1] - first) // CHUNK * TILES)


# Of the engine's modules: a function, which part its call belongs to, and how much is multiplied there.
TIMED: list[tuple[Any, str, Callable[..., str], Callable[..., int]]] = [
    (engine_module, "blocks_rows", lambda *_: BLOCKS, lambda *_: 0),
    (engine_module, "correlate", lambda *_: HEAD, lambda x, w, y, *_: w.size * y.shape[2] * y.shape[3]),
    (float_end_module, "convolve", lambda x, w, bias, size, *_: TRUNK if size == 3 else TAIL, _convolved),
    (float_end_module, "convolve_column", lambda *_: TAIL, lambda x, w, bias, size, y, _: w.size * len(y)),
    (direct_tail_module, "correlate_few", lambda *_: TAIL, lambda x, w, y, _: w.size // FEW_ROWS * len(y) * y.shape[2]),
]


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

    with ExitStack() as stack:
        for module, own, name_of, work in TIMED:
            stack.enter_context(mock.patch.object(module, own, timed(getattr(module, own), name_of, work)))
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


def rows_of(whole: float, parts: Parts, counts: float, macs: int, ceiling: float, fma: float) -> list[Row]:
    """The table, by the rates of one thread; `macs` are those of the binary convolutions."""
    rows = [
        Row("binary convolutions", counts, ALONE, NAMES[OWN].split(",")[0], macs / ceiling),
        Row("scale, PReLU, E, threshold, packing", parts.pop(BLOCKS).seconds - counts, LEFT),
    ]
    for name, part in parts.items():
        rows.append(Row(f"float convolution: {name}", part.seconds, IN_PLACE, "FMA", part.work / fma))
    return [*rows, Row("rounding, shuffle, copies, Python", whole - sum(row.seconds for row in rows), LEFT)]


def seconds_of_plain_tail(plan: Plan, height: int, width: int, repeats: int) -> float:
    """Median seconds of the tail's convolutions one by one, by npbsrn's own kernel; the shuffles are not timed."""
    times = []
    for _ in range(repeats + 1):
        seconds, extent = 0.0, np.array([height, width])
        for (w, bias), factor in zip(plan.tail, (*plan.shuffles, 1), strict=True):
            x = np.zeros((1, w.shape[1], *extent), np.float32)
            start = time.perf_counter()
            conv2d(x, w, bias)
            seconds += time.perf_counter() - start
            extent *= factor
        times.append(seconds)
    return float(np.median(times[1:]))
