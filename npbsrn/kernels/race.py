"""The kernels that count, timed on this CPU beside each other, so that the quickest can be chosen.

Nothing here is compiled for the chosen kernel, and nothing is kept on the disk but the choice
(`npbsrn.kernels.cpu.keep_choice`). So it can be made before the first kernel is compiled.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from npbsrn.kernels.bits import GROUP, TILE, pack_filters, pack_picture, planes_of
from npbsrn.kernels.counting import arrange, make_count, tiles_at_once
from npbsrn.kernels.cpu import choices, chosen_kernel, keep_choice, kept_choice
from npbsrn.runtime.buffers import empty

Array = np.ndarray[Any, Any]
Ways = dict[str, Callable[[], object]]

CHANNELS, HEIGHT, WIDTH = 64, 32, 320  # of the convolution that is timed: as wide as that of `clean`
ROUNDS = 15
MARGIN = 0.95  # of the time of the kernel in use: another one must be quicker than that, as times vary


class BinaryConvolution:
    """Bits of a picture and of 3x3 filters, and room for counts.

    Parameters
    ----------
    channels : int
        Of what is taken in and given, up to 96.
    height, width : int
        The width is a multiple of 32.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        rng = np.random.default_rng(0)
        self.channels, self.negative = channels, rng.random((channels, height, width)) < 0.5
        self.signs = rng.choice([-1, 1], (channels, channels, 3, 3))
        self.bits = pack_picture(self.negative, width + 2)
        self.counts = empty((height, width // TILE, channels * TILE), np.uint16)

    def way(self, kernel: str) -> Callable[[], None]:
        """Bits in, counts out, by the kernel of this name, which the CPU must have; compiled with the first call."""
        function = _counter(kernel, planes_of(self.channels), self.channels)
        filters = arrange(pack_filters(self.signs), self.channels, 3, kernel)
        return lambda: function(self.bits, filters, self.counts)


@cache
def _counter(kernel: str, planes: int, channels: int) -> Callable[[Array, Array, Array], None]:
    """As `npbsrn.kernels.counts.count3`: a first group of planes, and what is left."""
    together, left, at_once = min(planes, GROUP), planes - GROUP, tiles_at_once(kernel)
    count, add = make_count(3, together, kernel), make_count(3, max(left, 1), kernel)

    @njit(nogil=True)
    def counts3(bits: Array, filters: Array, counts: Array) -> None:
        plane, row, flat = bits.shape[2], planes * bits.shape[2], bits.ravel()
        height, tiles = counts.shape[:2]
        behind = len(filters) // planes * GROUP
        for y in range(height):
            for t in range(0, tiles, at_once):
                at, n, out = y * row + t * TILE, min(at_once, tiles - t), counts[y, t:]
                count(flat, at, row, plane, n, filters, 0, channels, out, False)
                if left > 0:
                    add(flat, at + GROUP * plane, row, plane, n, filters, behind, channels, out, True)

    return counts3


def convolutions() -> Ways:
    """The convolution that is timed, by each kernel that this CPU has; compiled."""
    convolution = BinaryConvolution(CHANNELS, HEIGHT, WIDTH)
    ways: Ways = {name: convolution.way(name) for name in choices()}
    for way in ways.values():
        way()
    return ways


def shortest(ways: Ways, clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """Seconds of each, the shortest of `ROUNDS` in turn: what others do on the machine only adds to a time."""
    seconds = dict.fromkeys(ways, np.inf)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name] = min(seconds[name], clock() - start)
    return seconds


def winner(seconds: dict[str, float], used: str) -> str:
    """The quickest; the one in use where none is quicker by more than `MARGIN`, so that chance changes nothing."""
    best = min(seconds, key=lambda name: seconds[name])
    return used if used in seconds and seconds[best] > MARGIN * seconds[used] else best


def settle(clock: Callable[[], float] = time.perf_counter) -> str:
    """Choose the kernel by its time on this CPU, unless ``$NPBSRN_KERNEL`` does, and keep the choice.

    Kernels that are compiled from now on are for it, in a process that has compiled none yet; else from the next
    process on. Returns what was done, in words.
    """
    used = chosen_kernel()
    if os.environ.get("NPBSRN_KERNEL"):
        return f"kernel {used}, because NPBSRN_KERNEL says so"
    if choices() == [used]:
        return f"kernel {used}; this CPU has no other one"
    seconds = shortest(convolutions(), clock)
    best = winner(seconds, used)
    times = ", ".join(f"{name} {value * 1e3:.2f} ms" for name, value in seconds.items())
    if best == used:
        return f"kernel {used}: {times}"
    if not keep_choice(best):
        return f"kernel {used}, as another choice cannot be kept: {times}"
    if "npbsrn.kernels.jit" in sys.modules:
        return f"kernel {best} from the next process on: {times}"
    kept_choice.cache_clear()
    return f"kernel {best}: {times}"
