"""Compose convolutions that have only a pixel shuffle between them into one convolution."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


Limits = tuple[int, int]  # how many pixels there are before one along an axis, and after it


def compose(
    outer: Array,
    outer_bias: Array,
    inner: Array,
    inner_bias: Array,
    factor: int,
    rows: Limits | None = None,
    columns: Limits | None = None,
) -> tuple[tuple[Array, Array], Callable[[Array, Array], tuple[Array, Array, Array, Array]]]:
    """Filters of ``outer(shuffle(inner(x)))`` on the grid of x.

    Let r be the shuffle's factor, p = m // 2 and q = k // 2. A fine pixel is ``(h r + a, v r + b)`` with the phase
    (a, b). There, the tap (s, t) of the outer filters meets the fine pixel ``h r + a + s - p`` (and likewise along the
    width). With ``a + s - p = r e + i``, 0 <= i < r, that is the coarse pixel ``h + e`` in phase i, which is the inner
    convolution's channel ``c r r + i r + j`` there. Hence

        K[o, a, b, :, e + y, f + x] += sum_c outer[o, c, s, t] * inner[c, i, j, :, y, x]

    over all a, b, s, t, y, x: for each inner phase (i, j) one matrix product with all outer taps that meet it. Along
    an axis e runs from ``floor(-p / r)`` to ``floor((r - 1 + p) / r)``, so that K has k + 2 ceil(p / r) taps. A bias
    is an input that is 1 everywhere: it passes the same sum without a place.

    The plain sequence pads between its convolutions with zeros. So the result is exact where the inner convolution is
    not cut off by the border of the picture; elsewhere the composed filters look at what the inner convolution gives
    beyond the border. For a pixel near a border, `rows` and `columns` leave out the coarse pixels that are not there,
    and with outer filters that are those of its phases, too, the result is exact for this pixel.

    Parameters
    ----------
    outer : (O, C, m, m), or (factor, factor, O, C, m, m) with filters for each phase; m odd
    outer_bias : (O,), or (factor, factor, O)
    inner : (C * factor**2, I, k, k), k odd
    inner_bias : (C * factor**2,)
    factor : int
    rows, columns : (before, after), optional
        How many coarse pixels there are above and below, left and right; None where that does not matter.

    Returns
    -------
    kernel : (O * factor**2, I, k + 2 ceil(p / r), the same)
        To be followed by a pixel shuffle of `factor`.
    bias : (O * factor**2,)
    pull : (dkernel, dbias) -> (douter, douter_bias, dinner, dinner_bias)
    """
    r = factor
    o, c, m, _ = outer.shape[-4:]
    _, inputs, k, _ = inner.shape
    reach = reach_of(m, r)
    size = k + 2 * reach
    taps = np.broadcast_to(outer, (r, r, o, c, m, m)).transpose(0, 1, 4, 5, 2, 3)  # a b s t O C, without a copy
    # inner phases first, input channels last: the products below are then added by whole rows
    bank = inner.reshape(c, r, r, inputs, k, k).transpose(1, 2, 0, 4, 5, 3).reshape(r, r, c, k * k * inputs)
    inner_biases = inner_bias.reshape(c, r, r)
    kernel = np.zeros((r, r, o, size, size, inputs), outer.dtype)
    bias = np.zeros((r, r, o), outer.dtype) + outer_bias
    groups = _meetings(m, r, k, rows, columns)
    for (i, j), group in groups.items():
        met = np.concatenate([taps[meeting] for meeting, _ in group])  # (G * O, C)
        products = (met @ bank[i, j]).reshape(len(group), o, k, k, inputs)
        sums = (met @ inner_biases[:, i, j]).reshape(len(group), o)
        for ((a, b, _, _), place), product, part in zip(group, products, sums, strict=True):
            kernel[a, b][place] += product
            bias[a, b] += part

    def pull(dkernel: Array, dbias: Array) -> tuple[Array, Array, Array, Array]:
        dkernel = dkernel.reshape(o, r, r, inputs, size, size).transpose(1, 2, 0, 4, 5, 3)
        dkernel, dbias = np.ascontiguousarray(dkernel), dbias.reshape(o, r, r).transpose(1, 2, 0)
        dtaps = np.zeros(taps.shape, outer.dtype)
        dbank, dinner_biases = np.zeros_like(bank), np.zeros_like(inner_biases)
        for (i, j), group in groups.items():
            met = np.concatenate([taps[meeting] for meeting, _ in group])
            parts = np.stack([dkernel[a, b][place] for (a, b, _, _), place in group])
            dproducts = parts.reshape(len(met), -1)
            dsums = np.concatenate([dbias[a, b] for (a, b, _, _), _ in group])
            dmet = dproducts @ bank[i, j].T + np.outer(dsums, inner_biases[:, i, j])
            for (meeting, _), dtap in zip(group, dmet.reshape(len(group), o, c), strict=True):
                dtaps[meeting] = dtap
            dbank[i, j] = met.T @ dproducts
            dinner_biases[:, i, j] = met.T @ dsums
        douter, douter_bias = dtaps.transpose(0, 1, 4, 5, 2, 3), dbias
        if outer.ndim == 4:  # one for all phases
            douter, douter_bias = np.sum(douter, axis=(0, 1)), np.sum(dbias, axis=(0, 1))
        dinner = dbank.reshape(r, r, c, k, k, inputs).transpose(2, 0, 1, 5, 3, 4).reshape(inner.shape)
        return douter, douter_bias, dinner, dinner_biases.reshape(inner_bias.shape)

    shape = o * r * r, inputs, size, size
    return (kernel.transpose(2, 0, 1, 5, 3, 4).reshape(shape), bias.transpose(2, 0, 1).reshape(-1)), pull


def reach_of(m: int, factor: int) -> int:
    """How many coarse pixels outer filters of m taps look to either side of one."""
    return -(-(m // 2) // factor)


Place = tuple[slice, slice, slice]
Meeting = tuple[tuple[int, int, int, int], Place]


def _meetings(
    m: int, r: int, k: int, rows: Limits | None, columns: Limits | None
) -> dict[tuple[int, int], list[Meeting]]:
    """By inner phase (i, j): which phases and taps (a, b, s, t) meet it, and where their products go in the kernel."""
    groups: dict[tuple[int, int], list[Meeting]] = {(i, j): [] for i in range(r) for j in range(r)}
    reach = reach_of(m, r)
    axis = [(a, s, *divmod(a + s - m // 2, r)) for a in range(r) for s in range(m)]
    down, right = ([meeting for meeting in axis if _is_there(meeting[2], limits)] for limits in (rows, columns))
    for a, s, e, i in down:
        for b, t, f, j in right:
            place = slice(None), slice(reach + e, reach + e + k), slice(reach + f, reach + f + k)
            groups[i, j].append(((a, b, s, t), place))
    return {phase: group for phase, group in groups.items() if group}


def _is_there(e: int, limits: Limits | None) -> bool:
    return limits is None or -limits[0] <= e <= limits[1]
