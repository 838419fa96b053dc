"""Where the time of one picture goes, by one thread.

Blocks and float convolutions are measured in place, by a clock around the engine's own calls; the binary convolutions,
which are part of the blocks, by themselves.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.kernels.bits import TILE, pack_filters, planes_of
from npbsrn.kernels.counts import AT_ONCE, arranged, count1, count3, filter_size
from npbsrn.kernels.direct_conv import FEW_ROWS
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.pixel_conv import CHUNK, TILES
from npbsrn.kernels.winograd import Filters
from npbsrn.packed import direct_tail as direct_tail_module
from npbsrn.packed import engine as engine_module
from npbsrn.packed import float_end as float_end_module
from npbsrn.packed.engine import Engine
from npbsrn.packed.plan import Plan
from npbsrn.runtime.buffers import empty

Array = np.ndarray[Any, Any]

BLOCKS, HEAD, TRUNK, TAIL = "blocks", "head", "trunk", "tail, composed"


@dataclass
class Part:
    """Seconds spent, and the work done: multiply-accumulates, or bytes."""

    seconds: float = 0.0
    work: float = 0.0


Parts = dict[str, Part]
Run = tuple[float, Parts]  # seconds of the whole, and the parts


def _convolved(x: Array, w: Filters, bias: Array, size: int, y: Array, first: int, *_: Array) -> int:
    """Multiply-accumulates of `npbsrn.kernels.pixel_conv.convolve`: of the products, whose filters are `w`."""
    return w.used * len(y) * ((y.shape[1] - first) // CHUNK * TILES)


# Of the engine's modules: a function, which part its call belongs to, and how much is multiplied there. What has 3x3
# filters is a trunk, or a tail that is not composed.
TIMED: list[tuple[Any, str, Callable[..., str], Callable[..., int]]] = [
    (engine_module, "blocks_rows", lambda *_: BLOCKS, lambda *_: 0),
    (engine_module, "correlate", lambda *_: HEAD, lambda x, w, y, *_: w.size * y.shape[2] * y.shape[3]),
    (float_end_module, "convolve", lambda x, w, bias, size, *_: TRUNK if size == 3 else TAIL, _convolved),
    (float_end_module, "convolve_column", lambda *_: TAIL, lambda x, w, bias, size, y, _: w.size * len(y)),
    (direct_tail_module, "correlate_few", lambda *_: TAIL, lambda x, w, y, _: w.size // FEW_ROWS * len(y) * y.shape[2]),
]


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def timed_parts() -> Iterator[Parts]:
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
            stack.enter_context(_replaced(module, own, timed(getattr(module, own), name_of, work)))
        yield parts


def timed_runs(engine: Engine, picture: Array, repeats: int) -> list[Run]:
    """Runs by one thread, the quickest first; each one's parts are its own, so that they add up."""
    runs: list[Run] = []
    engine.run(picture, threads=1)  # compiles
    for _ in range(repeats):
        with timed_parts() as parts:
            start = time.perf_counter()
            engine.run(picture, threads=1)
            runs.append((time.perf_counter() - start, parts))
    return sorted(runs, key=lambda run: run[0])


@kernel()
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


def count_seconds(plan: Plan, height: int, width: int, repeats: int) -> list[float]:
    """Seconds of all binary convolutions of a picture, whose width is a multiple of 32, by themselves; sorted."""
    filters, channels = convolutions_of(plan), plan.channels
    shape = height + 2, planes_of(channels), width + 2
    bits = np.random.default_rng(0).integers(0, 1 << 16, shape, np.uint16)
    words = np.concatenate([arranged(pack_filters(w), channels, w.shape[-1]) for w in filters])
    sizes, size = np.array([w.shape[-1] for w in filters]), filter_size(channels, planes_of(channels))
    counts = empty((AT_ONCE * channels * TILE,), np.uint16)
    seconds = []
    for _ in range(repeats + 1):  # the first one compiles
        start = time.perf_counter()
        _count_all(bits, words, size, sizes, channels, counts)
        seconds.append(time.perf_counter() - start)
    return sorted(seconds[1:])
