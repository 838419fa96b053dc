"""Where the packed engine's time goes, by one thread."""

import time
from typing import Any

import numpy as np

from benchmarks.counts import NAMES, OWN
from benchmarks.step_table import ALONE, IN_PLACE, LEFT, Row
from npbsrn.ops.conv import conv2d
from npbsrn.packed.engine import Engine
from npbsrn.packed.plan import Plan
from npbsrn.packed.stopwatch import BLOCKS, Parts, count_seconds, timed_runs

Array = np.ndarray[Any, Any]


def seconds_of_counts(plan: Plan, height: int, width: int, repeats: int) -> float:
    """Median seconds of all binary convolutions of a picture, whose width is a multiple of 32, by themselves."""
    return count_seconds(plan, height, width, repeats)[repeats // 2]


def whole_and_parts(engine: Engine, picture: Array, repeats: int) -> tuple[float, Parts]:
    """Seconds of a run by one thread and of its parts: those of the run in the middle."""
    return timed_runs(engine, picture, repeats)[repeats // 2]


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
