"""The matrices of Winograd's filtering."""

from fractions import Fraction

import numpy as np
import pytest

from npbsrn.kernels.winograd import SIZES, multiplications, transforms


@pytest.mark.parametrize("size", SIZES)
def test_transforms_are_exact(size):
    """In fractions: each tap and each pixel by itself gives what the correlation gives."""
    output, filters, inputs = (np.vectorize(Fraction)(m) for m in transforms(size))
    unrounded = np.vectorize(lambda x: Fraction(x).limit_denominator(1000))  # thirds and the like
    assert filters.shape == (multiplications(size), size)
    for tap in range(size):
        for pixel in range(4 + size - 1):
            y = output @ (unrounded(filters[:, tap]) * inputs[:, pixel])
            np.testing.assert_array_equal(y, [int(v + tap == pixel) for v in range(4)])


def test_how_many_multiplications():
    """Of 4 k in a plain row."""
    assert [multiplications(size) for size in SIZES] == [6, 8, 11]
