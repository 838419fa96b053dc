"""Composition of convolutions that have only a pixel shuffle between them into one convolution."""

from collections.abc import Callable, Iterator
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

    over all a, b, s, t, y, x: for each phase and outer tap one small matrix product, put at its place. Along an axis
    e runs from ``floor(-p / r)`` to ``floor((r - 1 + p) / r)``, so that K has k + 2 ceil(p / r) taps. A bias is an
    input that is 1 everywhere: it passes the same sum without a place.

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
    bank = inner.reshape(c, r, r, inputs, k * k)
    inner_biases = inner_bias.reshape(c, r, r)
    kernel = np.zeros((o, r, r, inputs, size, size), outer.dtype)
    bias = np.zeros((o, r, r), outer.dtype) + outer_bias[:, None, None]
    for (a, b, s, t), (i, j), place in _meetings(m, r, k, reach):
        product = outer[:, :, s, t] @ bank[:, i, j].reshape(c, -1)
        kernel[(slice(None), a, b, slice(None), *place)] += product.reshape(o, inputs, k, k)
        bias[:, a, b] += outer[:, :, s, t] @ inner_biases[:, i, j]

    def pull(dkernel: Array, dbias: Array) -> tuple[Array, Array, Array, Array]:
        dkernel, dbias = dkernel.reshape(kernel.shape), dbias.reshape(bias.shape)
        douter = np.zeros_like(outer)
        dbank, dinner_biases = np.zeros_like(bank), np.zeros_like(inner_biases)
        for (a, b, s, t), (i, j), place in _meetings(m, r, k, reach):
            part = np.ascontiguousarray(dkernel[(slice(None), a, b, slice(None), *place)]).reshape(o, -1)
            douter[:, :, s, t] += part @ bank[:, i, j].reshape(c, -1).T + np.outer(
                dbias[:, a, b], inner_biases[:, i, j]
            )
            dbank[:, i, j] += (outer[:, :, s, t].T @ part).reshape(c, inputs, k * k)
            dinner_biases[:, i, j] += outer[:, :, s, t].T @ dbias[:, a, b]
        return douter, np.sum(dbias, axis=(1, 2)), dbank.reshape(inner.shape), dinner_biases.reshape(inner_bias.shape)

    return (kernel.reshape(o * r * r, inputs, size, size), bias.reshape(-1)), pull


def _meetings(
    m: int, r: int, k: int, reach: int
) -> Iterator[tuple[tuple[int, int, int, int], tuple[int, int], tuple[slice, slice]]]:
    """Phases and taps (a, b, s, t), the inner phases (i, j) that they meet, and where the product goes."""
    axis = [(a, s, *divmod(a + s - m // 2, r)) for a in range(r) for s in range(m)]
    for a, s, e, i in axis:
        for b, t, f, j in axis:
            yield (a, b, s, t), (i, j), (slice(reach + e, reach + e + k), slice(reach + f, reach + f + k))
