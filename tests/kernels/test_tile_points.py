"""Winograd's filtering in both directions, its products and its transforms."""

import numpy as np
import pytest

from npbsrn.kernels.combine import make_combine
from npbsrn.kernels.jit import kernel
from npbsrn.kernels.products import MATRICES, multiply
from npbsrn.kernels.winograd import transforms
from npbsrn.ops.binary_conv import binary_conv, binary_conv_ref
from npbsrn.ops.bits import pack

TRANSFORMS = {"A": transforms(3, 6)[0].T, "G": transforms(3, 6)[1], "B": transforms(3, 6)[2]}
_result, _filter, _input = (make_combine(matrix) for matrix in TRANSFORMS.values())
ADDED = 2  # results that are added
_add_input = make_combine(TRANSFORMS["B"].T, add=ADDED)


@kernel()
def combined(which, x, y):
    if which == 0:
        _result(x, 0, 16, y, 0, 16)
    elif which == 1:
        _filter(x, 0, 16, y, 0, 16)
    elif which == 2:
        _input(x, 0, 16, y, 0, 16)
    else:
        _add_input(x, 0, 16, y, 0, 16)


@kernel()
def multiplied(x, row, column, length, w, y, rows, matrices, add):
    multiply(x, 0, row, column, length, w, 0, w.size // matrices, y, 0, y.size // matrices, rows, matrices, add)


def test_six_pixels_by_eight_products():
    """Of one row: what three taps give at six pixels, in float64."""
    rng = np.random.default_rng(0)
    a, g, b = transforms(3, 6)
    w, x = rng.standard_normal(3), rng.standard_normal(8)
    np.testing.assert_allclose(a @ ((g @ w) * (b @ x)), np.correlate(x, w), rtol=1e-12)


@pytest.mark.parametrize("which", range(4))
def test_a_constant_matrix(which):
    """Whatever pairs of rows and columns save products."""
    rng = np.random.default_rng(which)
    matrix = [*TRANSFORMS.values(), TRANSFORMS["B"].T][which]
    x, y = (rng.standard_normal((n, 16)).astype(np.float32) for n in matrix.shape[::-1])
    expected = matrix @ x.astype(np.float64)
    if which == 3:
        expected[:ADDED] += y[:ADDED]
    combined(which, x, y)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("rows", [1, 5, 6, 7, 13, 49])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("matrices", range(1, MATRICES + 1))
def test_products_of_matrices(rows, turned, add, matrices):
    """Exactly: all values are small whole numbers."""
    rng, n = np.random.default_rng(rows), matrices
    x, w, y = (rng.integers(-4, 5, shape).astype(np.float32) for shape in ((rows, 10), (n, 10, 16), (n, rows, 16)))
    expected = x @ w + add * y
    if turned:
        multiplied(np.ascontiguousarray(x.T), 1, rows, 10, w, y, rows, n, add)
    else:
        multiplied(x, 10, 1, 10, w, y, rows, n, add)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (7, 20), (25, 41), (13, 15)], ids=str)
def test_error_of_a_picture_of_several_blocks(shape):
    """Root mean square, against float64: some 20 times that of the plain sum, 1.6e-7."""
    rng = np.random.default_rng(1)
    bits, signs = (rng.choice([-1.0, 1.0], shape) for shape in ((2, 32, *shape), (48, 32, 3, 3)))
    scales, dy = rng.uniform(0.5, 1, (1, 48)), rng.standard_normal((2, 48, *shape))
    one, single = np.ones(1), np.float32
    _, pull = binary_conv([pack(bits.astype(single), 1.0)], one.astype(single), [signs.astype(single)],
                          scales.astype(single), 0.0, 1.0)  # fmt: skip
    _, pull_expected = binary_conv_ref([bits], one, [signs], scales, 0.0, 1.0)
    own, expected = pull(dy.astype(single)), pull_expected(dy)
    for got, other in ((own[0][0], expected[0][0]), (own[2][0], expected[2][0])):
        assert np.sqrt(np.mean((got - other) ** 2)) < 4e-6 * np.sqrt(np.mean(other**2))
