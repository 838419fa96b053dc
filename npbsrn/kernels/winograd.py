"""Winograd's minimal filtering: its matrices, and filters as `npbsrn.kernels.pixel_conv` reads them.

Four neighbouring pixels of a row take ``4 + k - 1`` multiplications for each row of a k x k filter, not ``4 * k`` (S.
Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural
Networks", CVPR 2016).
"""

from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.simd import LANES

Array = np.ndarray[Any, Any]

STEP = 4  # pixels that a tile gives
MOST = 3 if has_avx512() else 1  # vectors of output channels at once, of two registers each without AVX-512
POINTS = [Fraction(n, d) for n, d in ((0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 2), (-1, 2))]


@cache
def transforms(size: int) -> tuple[Array, Array, Array]:
    r"""Matrices A, G, B of one row: ``y = A ((G w) * (B x))``, float64 of exact fractions.

    The correlation of 4 + k - 1 pixels x with k taps w is the transpose of a product of polynomials, of degrees 3 and
    k - 1. That product is known from its values at n = 4 + k - 1 points, infinity among them. Evaluating there is
    ``A^T`` and ``G`` (up to the denominators of Lagrange's polynomials, which G takes over); interpolating is ``B^T``,
    whose columns are the coefficients of Lagrange's numerators.

    Parameters
    ----------
    size : int
        k.

    Returns
    -------
    output : (4, n)
    filters : (n, k)
    inputs : (n, n)
    """
    n = STEP + size - 1
    points = POINTS[: n - 1]
    output = [[p**i for p in points] + [Fraction(i == STEP - 1)] for i in range(STEP)]
    taps, inputs = [], []
    for p in points:
        others = [q for q in points if q != p]
        denominator = Fraction(1)
        for q in others:
            denominator *= p - q
        taps.append([p**i / denominator for i in range(size)])
        inputs.append([*_with_roots(others), Fraction(0)])
    taps.append([Fraction(i == size - 1) for i in range(size)])
    inputs.append(_with_roots(points))
    a, g, b = (np.array([[float(x) for x in row] for row in rows]) for rows in (output, taps, inputs))
    return a, g, b


def _with_roots(roots: list[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial ``prod (x - root)``, the constant one first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [s - root * c for s, c in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def transformed(w: Array) -> Array:
    """Filters (O, C, k, k) as `convolve` reads them: flat float32, made in float64.

    By groups of output channels; then point, row of the filter, input channel, output channel.
    """
    _, c, size, _ = w.shape
    points = np.einsum("pk,ocyk->pyco", transforms(size)[1], w)
    return _by_groups(points.reshape(len(points), size * c, -1))


def plain(w: Array) -> Array:
    """Filters (O, C, k, k) as `convolve_column` reads them: flat float32, row, column, input and output channel."""
    return _by_groups(w.transpose(2, 3, 1, 0))


def _by_groups(w: Array) -> Array:
    """Filters (..., O) to flat float32 by groups of up to `MOST` vectors of output channels, the last one filled up."""
    spare = -w.shape[-1] % LANES
    w = np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, spare)])
    groups = [w[..., o : o + MOST * LANES].ravel() for o in range(0, w.shape[-1], MOST * LANES)]
    return np.concatenate(groups).astype(np.float32)


def vectors_of(channels: int) -> int:
    """How many vectors hold the channels of a pixel."""
    return -(-channels // LANES)
