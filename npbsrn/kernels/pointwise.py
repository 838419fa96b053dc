"""Element-wise operations on float32 pictures; see `npbsrn.ops.pointwise`.

Pictures are flat (N, C, pixels). Whatever decides a sign rounds as the readable reference does.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import hold, load, memory, store
from npbsrn.kernels.pack import load_part, store_part
from npbsrn.kernels.simd import LANES, fused, select, splat, total

Array = np.ndarray[Any, Any]

ZERO = np.float32(0)


@kernel()
def prelu_forward(
    x: Array, slope: Array, shift: Array, shape: tuple[int, int, int], low: int, high: int, y: Array
) -> None:
    """``PReLU(x + shift)`` of the samples `low` to `high`; a shift of -0.0 leaves every x as it is, to the bit."""
    _, channels, pixels = shape
    rest = np.empty(LANES, np.float32)
    x, y, workspace = memory(x), memory(y), memory(rest)
    for plane in range(low * channels, high * channels):
        a, b = slope[plane % channels], shift[plane % channels]
        first = plane * pixels
        whole = first + pixels // LANES * LANES
        for at in range(first, whole, LANES):
            z = load(x, at) + b
            store(y, at, select(z > ZERO, z, z * a))
        count = first + pixels - whole
        if count > 0:
            z = load_part(x, whole, count, workspace) + b
            store_part(y, whole, count, select(z > ZERO, z, z * a), workspace)
    hold(rest)


@part(forceinline=True)
def _prelu_back(x: Any, d: Any, slope: Any) -> tuple[Any, Any]:
    """At 16 pixels the cotangent of x, and what the slope gets."""
    return select(x > ZERO, d, d * slope), select(x > ZERO, splat(ZERO), x * d)


@kernel()
def prelu_backward(
    x: Array, dy: Array, slope: Array, shift: Array, shape: tuple[int, int, int], low: int, high: int, dx: Array,
    dslope: Array, dshift: Array,
) -> None:  # fmt: skip
    """The channels `low` to `high`; `dslope` and `dshift` (C,) are filled."""
    n, channels, pixels = shape
    rest = np.empty(LANES, np.float32)
    x, dy, dx, workspace = memory(x), memory(dy), memory(dx), memory(rest)
    for c in range(low, high):
        sums, along, a, b = splat(ZERO), splat(ZERO), slope[c], shift[c]
        for s in range(n):
            first = (s * channels + c) * pixels
            whole = first + pixels // LANES * LANES
            for at in range(first, whole, LANES):
                d, part = _prelu_back(load(x, at) + b, load(dy, at), a)
                store(dx, at, d)
                sums, along = sums + part, along + d
            count = first + pixels - whole
            if count > 0:
                z = load_part(x, whole, count, workspace) + b
                d, part = _prelu_back(z, load_part(dy, whole, count, workspace), a)  # which is 0 where no pixel is
                store_part(dx, whole, count, d, workspace)
                sums, along = sums + part, along + d
        dslope[c], dshift[c] = total(sums), total(along)
    hold(rest)


@kernel()
def fused_sum(x: Array, factor: Any, y: Array, low: int, high: int, out: Array) -> None:
    """``out = x * factor + y`` of the elements `low` to `high`, rounded once."""
    workspace, other = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    whole = low + (high - low) // LANES * LANES
    for at in range(low, whole, LANES):
        store(out, at, fused(load(x, at), factor, load(y, at)))
    count = high - whole
    if count > 0:
        value = fused(load_part(x, whole, count, workspace), factor, load_part(y, whole, count, other))
        store_part(out, whole, count, value, workspace)


@kernel()
def add(x: Array, y: Array, low: int, high: int, out: Array) -> None:
    """``out = x + y`` of the elements `low` to `high`."""
    workspace, other = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    whole = low + (high - low) // LANES * LANES
    for at in range(low, whole, LANES):
        store(out, at, load(x, at) + load(y, at))
    count = high - whole
    if count > 0:
        value = load_part(x, whole, count, workspace) + load_part(y, whole, count, other)
        store_part(out, whole, count, value, workspace)


@kernel()
def scale(x: Array, factor: Any, low: int, high: int, out: Array) -> None:
    """``out = x * factor`` of the elements `low` to `high`."""
    workspace = np.empty(LANES, np.float32)
    whole = low + (high - low) // LANES * LANES
    for at in range(low, whole, LANES):
        store(out, at, load(x, at) * factor)
    count = high - whole
    if count > 0:
        store_part(out, whole, count, load_part(x, whole, count, workspace) * factor, workspace)
