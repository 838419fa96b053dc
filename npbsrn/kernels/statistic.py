"""``E(A) A`` of float32 pictures; see `npbsrn.ops.statistic.weight_by_statistic`, which is the same to the bit.

Pictures are flat (N, C, pixels).
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import ask, hold, load, memory, scalar, store
from npbsrn.kernels.norm import give, take
from npbsrn.kernels.simd import LANES, select, splat

Array = np.ndarray[Any, Any]

ZERO, MINUS = np.float32(0), np.float32(-1)
BLOCK = 256  # pixels of all channels that are worked on together
MOST = 3  # cotangents of a term that are taken at once


@kernel()
def statistic_forward(
    a: Array, magnitudes: bool, shape: tuple[int, int, int], low: int, high: int, e: Array, y: Array
) -> None:
    """``y = E(A) A`` of the samples `low` to `high`: E the mean of |A| or A over the channels, added in their order.

    `e` (N, pixels) is filled, too.
    """
    _, channels, pixels = shape
    count = np.float32(channels)
    for s in range(low, high):
        for first in range(0, pixels, BLOCK):
            size = min(BLOCK, pixels - first)
            mean = e[s * pixels + first : s * pixels + first + size]
            mean[:] = ZERO
            for c in range(channels):
                own = a[(s * channels + c) * pixels + first : (s * channels + c) * pixels + first + size]
                if magnitudes:
                    for i in range(size):
                        mean[i] += abs(own[i])
                else:
                    for i in range(size):
                        mean[i] += own[i]
            for i in range(size):
                mean[i] /= count
            for c in range(channels):
                at = (s * channels + c) * pixels + first
                own, out = a[at : at + size], y[at : at + size]
                for i in range(size):
                    out[i] = mean[i] * own[i]


class Term(NamedTuple):
    """The activations A of a term ``E(A) A``, and the cotangents of the term, whose sum is to be pulled back.

    Without a term all arrays are empty. See `npbsrn.ops.pending.PendingTerm`.
    """

    a: Any  # (N, C, pixels)
    e: Any  # (N, pixels)
    first: Any  # (N, C, pixels), and so are the second and the third; those beyond `count` are empty
    second: Any
    third: Any
    factors: Any  # (MOST,): of these cotangents
    count: int
    magnitudes: bool


NONE = np.empty(0, np.float32)
NO_TERM = Term(NONE, NONE, NONE, NONE, NONE, NONE, 0, False)


@part(forceinline=True)
def numbers_of(term: Term) -> Term:
    """The same with the memory of the arrays."""
    return Term(
        memory(term.a), memory(term.e), memory(term.first), memory(term.second), memory(term.third),
        memory(term.factors), term.count, term.magnitudes,
    )  # fmt: skip


@part(forceinline=True)
def _sum_of_cotangents(term: Term, place: int, left: int, ahead: int, workspace: Any) -> Any:
    """At 16 places; those `ahead` are asked for."""
    ask(term.first, place + ahead)
    d = take(term.first, place, left, workspace) * scalar(term.factors, 0)
    if term.count > 1:
        ask(term.second, place + ahead)
        d = d + take(term.second, place, left, workspace) * scalar(term.factors, 1)
    if term.count > 2:
        ask(term.third, place + ahead)
        d = d + take(term.third, place, left, workspace) * scalar(term.factors, 2)
    return d


@kernel()
def term_back(
    term: Term, shape: tuple[int, int, int], s: int, first: int, count: int, side: Any, out: Any, where: int,
    gap: int, room: int,
) -> None:  # fmt: skip
    """``da = e dy + f'(a) mean_c(dy a)`` at `count` pixels of sample s, f' sign or 1.

    Vectors read, but do not use, what stands in memory behind these pixels.

    Parameters
    ----------
    term : Term
        With memory.
    shape : (N, C, pixels)
    s, first, count : int
    side : memory of float32
        Workspace of `count` and 31 more numbers.
    out : memory of float32
        Filled: of channel c, from ``where + c * gap`` on.
    where, gap, room : int
        `room`, at least `count`, is how many numbers of a channel may be written.
    """
    n, channels, pixels = shape
    total, rest = n * channels * pixels, (count + LANES - 1) // LANES * LANES
    workspace, share = side, np.float32(1) / np.float32(channels)  # the first 16 numbers of `side`
    for v in range(0, count, LANES):
        store(side, LANES + v, splat(ZERO))
    for c in range(channels):
        begin, to = (s * channels + c) * pixels + first, where + c * gap
        for v in range(0, rest, LANES):
            place = begin + v
            d = _sum_of_cotangents(term, place, total - place, 2 * pixels, workspace)
            ask(term.a, place + 2 * pixels)
            own = take(term.a, place, total - place, workspace)
            store(side, LANES + v, load(side, LANES + v) + own * d)
            give(out, to + v, room - v, d, workspace)
    for v in range(0, count, LANES):
        store(side, LANES + v, load(side, LANES + v) * share)
    for c in range(channels):
        begin, to = (s * channels + c) * pixels + first, where + c * gap
        for v in range(0, rest, LANES):
            place, along = begin + v, load(side, LANES + v)
            if term.magnitudes:
                own = take(term.a, place, total - place, workspace)
                along = select(own > ZERO, along, select(own < ZERO, along * MINUS, splat(ZERO)))
            e = take(term.e, s * pixels + first + v, n * pixels - (s * pixels + first + v), workspace)
            give(out, to + v, room - v, e * take(out, to + v, room - v, workspace) + along, workspace)


@kernel()
def statistic_backward(term: Term, shape: tuple[int, int, int], low: int, high: int, da: Array) -> None:
    """`term_back` of the samples `low` to `high`, to `da` (N, C, pixels)."""
    _, channels, pixels = shape
    side = np.empty(BLOCK + 2 * LANES, np.float32)
    own, workspace, out = numbers_of(term), memory(side), memory(da)
    for s in range(low, high):
        for first in range(0, pixels, BLOCK):
            size = min(BLOCK, pixels - first)
            term_back(own, shape, s, first, size, workspace, out, s * channels * pixels + first, pixels, size)
    hold(side)
