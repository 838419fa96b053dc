"""Rows of tiles of a cotangent, as `npbsrn.kernels.tile_backward` takes them in: through PReLU, channels last."""

from typing import Any

import numpy as np

from npbsrn.kernels.conv_sizes import Sizes
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import ask, put, scalar, store
from npbsrn.kernels.norm import take
from npbsrn.kernels.norm_sign import Behind, value_back
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.prelu import through_prelu
from npbsrn.kernels.signed_sums import add_to
from npbsrn.kernels.simd import LANES, splat
from npbsrn.kernels.tile_points import STEP

ZERO = np.float32(0)


@part(forceinline=True)
def size_of_kept(width: int) -> int:
    """Numbers from one channel to the next; they do not meet in one set of a cache."""
    return (STEP * width // (2 * LANES) * 2 + 3) * LANES


@part(forceinline=True)
def _narrow(source: Any, place: int, width: int, out: Any, where: int) -> None:
    """``out[where :+16] = source[place :+width]``, and zeros."""
    store(out, where, splat(ZERO))
    for x in range(width):
        put(out, where + x, scalar(source, place + x))


@part(forceinline=True)
def _take_channel(
    dy: Any, at: int, y: Any, slope: Any, flags: tuple[bool, bool], bases: int, behind: Behind, c: int, size: int,
    first: int, count: int, ahead: int, kept: Any, where: int, rest: Any, dslope: Any, sums: Any,
) -> None:  # fmt: skip
    """`count` numbers of channel c, from `first` on, of the cotangent, from `at` on, through PReLU to `kept`.

    Sums are added to. A later channel, `ahead` of this one, is asked for, since it is not near in the caches.
    """
    activated, summed = flags
    due, along = splat(ZERO), splat(ZERO)
    for v in range(0, count, LANES):
        if bases > 0:
            for j in range(bases):
                ask(dy, j * size + first + ahead + v)
            ask(behind.values, first + ahead + v)
            d = value_back(dy, size, first + v, count - v, behind, bases, c, rest)
        else:
            ask(dy, at + ahead + v)
            d = take(dy, at + v, count - v, rest)
        if activated:
            ask(y, first + ahead + v)
            d, part = through_prelu(d, take(y, first + v, count - v, rest), slope)
            due = due + part
        along = along + d
        store(kept, where + v, d)
    if activated:
        add_to(dslope, c * LANES, due)
    if summed:
        add_to(sums, c * LANES, along)


@kernel()
def take_rows(
    dy: Any, given: bool, y: Any, slope: Any, flags: tuple[bool, bool], bases: int, behind: Behind, s: int, top: int,
    o: int, sizes: Sizes, g: Any, kept: Any, turned: Any, dslope: Any, sums: Any,
) -> None:  # fmt: skip
    """A row of tiles of 16 channels of the cotangent, from row `top` on, channels last; through PReLU if `activated`.

    Its pixels are one row, since those of a channel follow one another. Rows beyond the picture are zero. `given` says
    that dy is that of these rows alone.
    """
    width, plane = sizes.width, sizes.height * sizes.width
    count, gap = min(STEP, sizes.height - top) * width, size_of_kept(width)
    for c in range(LANES):
        first, own = (s * sizes.outputs + o + c) * plane + top * width, scalar(slope, o + c) if flags[0] else ZERO
        at = (o + c) * gap if given else first
        _take_channel(
            dy, at, y, own, flags, bases, behind, o + c, sizes.samples * sizes.outputs * plane, first, count, 2 * plane,
            kept, c * gap, turned, dslope, sums,
        )  # fmt: skip
    for left in range(0, count, LANES):
        x = max(0, min(left, count - LANES))  # the last pixels overlap those before them
        if count < LANES:
            for c in range(LANES):
                _narrow(kept, c * gap, count, turned, c * LANES)
            transpose16(turned, 0, LANES, g, 0, LANES)
        else:
            transpose16(kept, x, gap, g, x * LANES, LANES)
    for p in range(count, STEP * width):
        store(g, p * LANES, splat(ZERO))
