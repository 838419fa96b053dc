"""Winograd's minimal filtering: its matrices, and filters in the order in which `npbsrn.kernels.pixel_conv` reads them.

Four neighbouring pixels of a row take about ``4 + k - 1`` multiplications for each row of a k x k filter, not ``4 * k``
(S. Winograd, "Arithmetic Complexity of Computations", 1980; A. Lavin and S. Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016).
"""

from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.cpu import has_avx512
from npbsrn.kernels.simd import LANES

Array = np.ndarray[Any, Any]
Polynomial = list[Fraction]  # coefficients, the constant one first

STEP = 4  # pixels that a tile gives
SIZES = (3, 5, 7)  # of filters
MOST = 3 if has_avx512() else 1  # vectors of output channels at once, of two registers each without AVX-512
POINTS = [Fraction(n, d) for n, d in ((0, 1), (1, 1), (-1, 1), (2, 1), (-2, 1), (1, 2), (-1, 2))]


@cache
def transforms(size: int, step: int = STEP) -> tuple[Array, Array, Array]:
    r"""Matrices A, G, B of one row: ``y = A ((G w) * (B x))``, float64 of exact fractions.

    The correlation of n = s + k - 1 pixels x with k taps w is the transpose of a product of polynomials, of degrees
    s - 1 and k - 1. That product is known from its values at n points, infinity among them. Evaluating there is
    ``A^T`` and ``G`` (up to the denominators of Lagrange's polynomials, which G takes over); interpolating is ``B^T``,
    whose columns are the coefficients of Lagrange's numerators. With k = 7 two of the points are complex: see `_pair`.

    Parameters
    ----------
    size : {3, 5, 7}
        k.
    step : int
        Pixels that a tile gives, s; others than `STEP` with k = 3 alone.

    Returns
    -------
    output : (s, m)
        m is n, or 11; see `multiplications`.
    filters : (m, k)
    inputs : (m, n)
    """
    n = step + size - 1
    pair = step == STEP and _has_pair(size)
    points = POINTS[: n - 1 - 2 * pair]
    whole: Polynomial = [Fraction(1), Fraction(0), Fraction(1)] if pair else [Fraction(1)]
    output, taps, inputs = [], [], []
    for p in points:
        others = [q for q in points if q != p]
        denominator = sum((c * p**j for j, c in enumerate(whole)), start=Fraction(0))
        for q in others:
            denominator *= p - q
        output.append([p**j for j in range(step)])
        taps.append([p**j / denominator for j in range(size)])
        inputs.append(_product(_with_roots(others), whole))
    output.append([Fraction(j == step - 1) for j in range(step)])
    taps.append([Fraction(j == size - 1) for j in range(size)])
    inputs.append(_product(_with_roots(points), whole))
    if pair:
        output, taps, inputs = (x + y for x, y in zip((output, taps, inputs), _pair(points, size), strict=True))
    rows = [[*row, *[Fraction(0)] * (n - len(row))] for row in inputs]
    a, g, b = (np.array([[float(x) for x in row] for row in matrix]) for matrix in (output, taps, rows))
    return np.ascontiguousarray(a.T), g, b


def _pair(points: list[Fraction], size: int) -> tuple[list[Polynomial], list[Polynomial], list[Polynomial]]:
    """What the points i and -i add to `transforms`: rows of A^T, G and B.

    `POINTS` are two too few for k = 7. Whatever real ones are added, rounding errors are 5 to 14 times those of the
    plain sum, where 3 is what is allowed here. So they are i and -i (B. Barabasz and D. Gregg, "Winograd Convolution
    for DNNs: Beyond Linear Polynomials", 2019), that is the remainder modulo x^2 + 1, a complex number. A product of
    two takes three multiplications: of the real parts P, of the imaginary parts Q, and of their sums R; it is ``(P - Q)
    + (R - P - Q) i``. These 11 multiplications instead of 28 have errors of 1.1 times those of the plain sum, less than
    the 8 of k = 5, whose points are all real, with 2.0.

    With M the product of all ``x - p``, a remainder r comes back as M times (r / M(i)) modulo x^2 + 1. `POINTS` are 0
    and pairs of both signs, so M is odd and M(i) is imaginary, i v. Then ``r / M(i)`` is ``-1 / v`` times ``(1 + x) P +
    (1 - x) Q - R``.
    """
    product = _with_roots(points)
    v = sum((-1) ** (j // 2) * c for j, c in enumerate(product) if j % 2)
    taps = [[-x / v for x in row] for row in _at_i(size)]
    return _at_i(STEP), taps, [_product(product, [Fraction(c) for c in row]) for row in ((1, 1), (1, -1), (-1,))]


def _has_pair(size: int) -> bool:
    return STEP + size - 2 > len(POINTS)


def multiplications(size: int) -> int:
    """How many a tile of `STEP` pixels takes for each row of a filter: m of `transforms`."""
    return STEP + size - 1 + _has_pair(size)


def _at_i(count: int) -> list[Polynomial]:
    """The powers of i: real parts, imaginary parts, and their sums."""
    real = [Fraction((1, 0, -1, 0)[j % 4]) for j in range(count)]
    imaginary = [Fraction((0, 1, 0, -1)[j % 4]) for j in range(count)]
    return [real, imaginary, [a + b for a, b in zip(real, imaginary, strict=True)]]


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    total = [Fraction(0)] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            total[i + j] += x * y
    return total


def _with_roots(roots: list[Fraction]) -> Polynomial:
    """``prod (x - root)``."""
    total = [Fraction(1)]
    for root in roots:
        total = _product(total, [-root, Fraction(1)])
    return total


class Filters(NamedTuple):
    """Filters as `convolve` reads them.

    Parameters
    ----------
    values : (n,) float32
        By groups of output channels; then point, row of the filter, input channel, output channel.
    rows : (G, 2) int64
        By group: from which row to which there is something but zeros. Some phases of a composed tail look less far up
        or down than others.
    used : int
        How many of the values these rows have.
    """

    values: Array
    rows: Array
    used: int


def transformed(w: Array) -> Filters:
    """Filters (O, C, k, k) at their points, made in float64."""
    _, c, size, _ = w.shape
    points = np.einsum("pk,ocyk->pyco", transforms(size)[1], w)
    values = _by_groups(points.reshape(len(points), size * c, -1))
    rows = np.zeros((-(-len(w) // (MOST * LANES)), 2), np.int64)
    used = 0
    for g, own in enumerate(rows):
        group = w[g * MOST * LANES : (g + 1) * MOST * LANES]
        there = np.flatnonzero(np.any(group, axis=(0, 1, 3)))
        if len(there):
            own[:] = there[0], there[-1] + 1
        used += len(points) * int(own[1] - own[0]) * c * vectors_of(len(group)) * LANES
    return Filters(values, rows, used)


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
