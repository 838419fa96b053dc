"""Composition of convolutions that have only a pixel shuffle between them into one convolution."""

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def compose(
    outer: Array, outer_bias: Array, inner: Array, inner_bias: Array, factor: int
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

    The result is exact where the inner convolution is not cut off by the border of the picture: the plain sequence pads
    between its convolutions with zeros, where the composed one looks at what the inner convolution gives beyond the
    border.

    Parameters
    ----------
    outer : (O, C, m, m), m odd
    outer_bias : (O,)
    inner : (C * factor**2, I, k, k), k odd
    inner_bias : (C * factor**2,)
    factor : int

    Returns
    -------
    kernel : (O * factor**2, I, k + 2 ceil(p / r), the same)
        To be followed by a pixel shuffle of `factor`.
    bias : (O * factor**2,)
    pull : (dkernel, dbias) -> (douter, douter_bias, dinner, dinner_bias)
    """
    o, c, m, _ = outer.shape
    _, inputs, k, _ = inner.shape
    r = factor
    reach = -(-(m // 2) // r)
    size = k + 2 * reach
    taps = outer.transpose(2, 3, 0, 1)  # m m O C
    # inner phases first, input channels last: the products below are then added by whole rows
    bank = inner.reshape(c, r, r, inputs, k, k).transpose(1, 2, 0, 4, 5, 3).reshape(r, r, c, k * k * inputs)
    inner_biases = inner_bias.reshape(c, r, r)
    kernel = np.zeros((r, r, o, size, size, inputs), outer.dtype)
    bias = np.zeros((r, r, o), outer.dtype) + outer_bias
    groups = _meetings(m, r, k, reach)
    for (i, j), group in groups.items():
        met = np.concatenate([taps[s, t] for _, _, s, t, _ in group])  # (G * O, C)
        products = (met @ bank[i, j]).reshape(len(group), o, k, k, inputs)
        sums = (met @ inner_biases[:, i, j]).reshape(len(group), o)
        for (a, b, _, _, place), product, part in zip(group, products, sums, strict=True):
            kernel[a, b][place] += product
            bias[a, b] += part

    def pull(dkernel: Array, dbias: Array) -> tuple[Array, Array, Array, Array]:
        dkernel = dkernel.reshape(o, r, r, inputs, size, size).transpose(1, 2, 0, 4, 5, 3)
        dkernel, dbias = np.ascontiguousarray(dkernel), dbias.reshape(o, r, r).transpose(1, 2, 0)
        dtaps = np.zeros((m, m, o, c), outer.dtype)
        dbank, dinner_biases = np.empty_like(bank), np.empty_like(inner_biases)
        for (i, j), group in groups.items():
            met = np.concatenate([taps[s, t] for _, _, s, t, _ in group])
            parts = np.stack([dkernel[a, b][place] for a, b, _, _, place in group])
            dproducts = parts.reshape(len(met), -1)
            dsums = np.concatenate([dbias[a, b] for a, b, _, _, _ in group])
            dmet = dproducts @ bank[i, j].T + np.outer(dsums, inner_biases[:, i, j])
            for (_, _, s, t, _), dtap in zip(group, dmet.reshape(len(group), o, c), strict=True):
                dtaps[s, t] += dtap
            dbank[i, j] = met.T @ dproducts
            dinner_biases[:, i, j] = met.T @ dsums
        dinner = dbank.reshape(r, r, c, k, k, inputs).transpose(2, 0, 1, 5, 3, 4).reshape(inner.shape)
        return dtaps.transpose(2, 3, 0, 1), np.sum(dbias, axis=(0, 1)), dinner, dinner_biases.reshape(inner_bias.shape)

    shape = o * r * r, inputs, size, size
    return (kernel.transpose(2, 0, 1, 5, 3, 4).reshape(shape), bias.transpose(2, 0, 1).reshape(-1)), pull


Place = tuple[slice, slice, slice]
Meeting = tuple[int, int, int, int, Place]


def _meetings(m: int, r: int, k: int, reach: int) -> dict[tuple[int, int], list[Meeting]]:
    """By inner phase (i, j): which phases and taps (a, b, s, t) meet it, and where their products go in the kernel."""
    groups: dict[tuple[int, int], list[Meeting]] = {(i, j): [] for i in range(r) for j in range(r)}
    axis = [(a, s, *divmod(a + s - m // 2, r)) for a in range(r) for s in range(m)]
    for a, s, e, i in axis:
        for b, t, f, j in axis:
            place = slice(None), slice(reach + e, reach + e + k), slice(reach + f, reach + f + k)
            groups[i, j].append((a, b, s, t, place))
    return {phase: group for phase, group in groups.items() if group}
