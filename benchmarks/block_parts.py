"""The three binary convolutions of an LB-block and both of their backward products, each kernel timed alone.

In training they are parts of one fused operation, in which a clock would cost more than what it measures. Here the
same kernels run on the same shapes: one sample a thread, again and again, so that arrays come from the caches as far
as they fit. What the fused operation takes beyond them is everything else.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from benchmarks.ceilings import aligned_zeros, seconds_together
from npbsrn.fused.shared import GROUPS, SHARDS, WIDTH
from npbsrn.kernels import tables as look_up
from npbsrn.kernels.pixel_tables import MOST, ROWS, filters_back, pixel_nibbles, pixel_tables
from npbsrn.kernels.popcount import count1, count3
from npbsrn.kernels.signed_sums import TABLE
from npbsrn.kernels.simd import LANES
from npbsrn.runtime.threads import thread_count

Array = np.ndarray[Any, Any]

MACS = WIDTH * WIDTH * (9 + 1 + 1)  # of an LB-block's convolutions, a pixel
AT_LEAST = 0.02  # seconds of a timed call, so that handing it to the threads does not count
REPEATS = 7


class Workspace(NamedTuple):
    """One thread's sample, with what `npbsrn.fused.elementwise.Workspace` holds of these kernels."""

    bits: Array
    words: Array
    counts: Array
    g: Array
    filter_nibbles: Array
    ring: Array
    inputs: Array
    dx: Array
    pixel_nibbles: Array
    turned: Array
    filters: Array
    dw: Array


def _workspace(height: int, width: int) -> Workspace:
    rng = np.random.default_rng(0)

    def drawn(size: int, dtype: Any, high: int) -> Array:
        values = aligned_zeros(size, dtype)
        values[:] = rng.integers(0, high, size)
        return values

    values = WIDTH * height * width
    nibbles = drawn(look_up.nibbles_size(WIDTH, WIDTH, 3), np.uint8, 16)
    return Workspace(
        drawn(3 * (height + 2) * (width + 2) + LANES, np.uint16, 1 << 16),
        drawn(WIDTH * 27, np.uint32, 1 << 16) * np.uint32(0x10001),
        aligned_zeros(values, np.uint16),
        drawn(WIDTH * ROWS * width, np.float32, 100),
        nibbles * np.uint8(8),
        aligned_zeros(9 * WIDTH * (width + 2 * LANES), np.float32),
        aligned_zeros(GROUPS * TABLE, np.float32),
        aligned_zeros(values, np.float32),
        aligned_zeros(WIDTH * (height + 3) * width, np.uint8),
        aligned_zeros(ROWS * LANES * WIDTH, np.float32),
        aligned_zeros(3 * 8 * TABLE, np.float32),
        aligned_zeros(9 * WIDTH * WIDTH, np.float32),
    )


@njit(nogil=True)
def _counts(workspace: Workspace, height: int, width: int, rounds: int) -> None:
    stride = width + 2
    plane = (height + 2) * stride
    for _ in range(rounds):
        for y in range(height):
            for left in range(0, width, LANES):
                where = WIDTH * (y * width + left)
                count3(
                    workspace.bits, y * stride + left, stride, plane, workspace.words, workspace.counts, where, LANES
                )
        for _ in range(2):
            for y in range(height):
                for left in range(0, width, LANES):
                    place, where = (y + 1) * stride + left + 1, WIDTH * (y * width + left)
                    count1(workspace.bits, place, stride, plane, workspace.words, workspace.counts, where, LANES)


@njit(nogil=True, forceinline=True)
def _inputs_of(size: int, workspace: Workspace, height: int, width: int) -> None:
    for y in range(height):
        for left in range(0, width, LANES):
            look_up.row_tables(workspace.g, y % ROWS * width + left, ROWS * width, GROUPS, workspace.inputs)
            if size == 3:
                look_up.spread_row(
                    workspace.inputs, workspace.filter_nibbles, 0, GROUPS, WIDTH, left, y, width, True, workspace.ring
                )  # fmt: skip
            else:
                place = WIDTH * (y * width + left)
                look_up.spread_1x1(
                    workspace.inputs, workspace.filter_nibbles, 0, GROUPS, WIDTH, True, workspace.dx, place, LANES
                )
        if size == 3:
            look_up.join_row(workspace.ring, y, WIDTH, width, workspace.dx, WIDTH * y * width, LANES, WIDTH)


@njit(nogil=True, forceinline=True)
def _filters_of(size: int, workspace: Workspace, height: int, width: int) -> None:
    pixel_nibbles(workspace.bits, 0, 3, height, width + 2, width, workspace.pixel_nibbles, 0)
    for y in range(0, height, ROWS):
        for left in range(0, width, LANES):
            pixel_tables(workspace.g, 0, MOST, left, min(ROWS, height - y), width, workspace.turned, workspace.filters)
            filters_back(
                workspace.pixel_nibbles, 0, WIDTH, workspace.filters, MOST, y, left, height, width, size,
                workspace.dw, 0,
            )  # fmt: skip


# the filters' size is a literal, as in the block: a value known only at run time makes much slower code


@njit(nogil=True)
def _inputs_back(workspace: Workspace, height: int, width: int, rounds: int) -> None:
    for _ in range(rounds):
        _inputs_of(3, workspace, height, width)
        _inputs_of(1, workspace, height, width)
        _inputs_of(1, workspace, height, width)


@njit(nogil=True)
def _filters_back(workspace: Workspace, height: int, width: int, rounds: int) -> None:
    for _ in range(rounds):
        _filters_of(3, workspace, height, width)
        _filters_of(1, workspace, height, width)
        _filters_of(1, workspace, height, width)


KERNELS = {"forward": _counts, "inputs": _inputs_back, "filters": _filters_back}


def seconds_alone(samples: int, height: int, width: int) -> dict[str, float]:
    """Seconds that each kernel takes for one LB-block and a batch, all threads at once; by the keys of `KERNELS`."""
    workers = min(thread_count(), SHARDS)
    workspaces = [_workspace(height, width) for _ in range(workers)]
    seconds = {}
    for name, function in KERNELS.items():

        def timed(rounds: int, repeats: int, function: Any = function) -> float:
            jobs = [(workspace, height, width, rounds) for workspace in workspaces]
            return float(np.median(seconds_together(function, jobs, repeats))) / rounds

        once = timed(1, REPEATS)
        each = timed(max(1, round(AT_LEAST / once)), REPEATS)
        seconds[name] = each * samples / workers
    return seconds
