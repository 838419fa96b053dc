"""The backward pass of signs around a threshold for each channel; see `npbsrn.ops.shift_sign`.

One thread handles everything that belongs to a channel: no sum is split, so no result depends on the number of threads.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.memory import hold, load, memory, store
from npbsrn.kernels.norm_sign import passed
from npbsrn.kernels.pack import load_part, store_part
from npbsrn.kernels.simd import LANES, splat, total

Array = np.ndarray[Any, Any]

ZERO = np.float32(0)


@kernel()
def shifted_back(
    dbits: Array, values: Array, shift: Array, steepness: Any, ste: int, shape: tuple[int, int, int], low: int,
    high: int, dvalues: Array, dshift: Array,
) -> None:  # fmt: skip
    """Pull back signs of ``values + shift``, of the channels `low` to `high`.

    Parameters
    ----------
    dbits, values : float32
        Flat (N, C, pixels).
    shift : (C,) float32
    steepness : float32
        One by the width of the stand-in's window.
    ste : int
        See `npbsrn.kernels.norm_sign.passed`.
    shape : (N, C, pixels)
    low, high : int
    dvalues : float32
        Like `values`, filled.
    dshift : (C,) float32
        Filled.
    """
    n, channels, pixels = shape
    rest = np.empty(LANES, np.float32)
    d, x, out, workspace = memory(dbits), memory(values), memory(dvalues), memory(rest)
    for c in range(low, high):
        sums, b = splat(ZERO), shift[c]
        for s in range(n):
            first = (s * channels + c) * pixels
            whole = first + pixels // LANES * LANES
            for at in range(first, whole, LANES):
                dx = passed(load(d, at), (load(x, at) + b) * steepness, ste) * steepness
                store(out, at, dx)
                sums = sums + dx
            count = first + pixels - whole
            if count > 0:
                z = (load_part(x, whole, count, workspace) + b) * steepness
                dx = passed(load_part(d, whole, count, workspace), z, ste) * steepness  # 0 where no pixel is
                store_part(out, whole, count, dx, workspace)
                sums = sums + dx
        dshift[c] = total(sums)
    hold(rest)
