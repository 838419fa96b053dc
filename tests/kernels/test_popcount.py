"""Counts of a binary convolution against the float one, exactly."""

import numpy as np
from hypothesis import given, settings
from numba import njit

from npbsrn.kernels.popcount import count1, count3, pack_filters
from npbsrn.ops.conv import conv2d_ref
from tests.kernels.test_pixel_tables import pack
from tests.kernels.test_tables import draw, extents


@njit
def count(bits, words, size, height, width, out):
    stride = width + 2
    plane = (height + 2) * stride
    for y in range(height):
        for left in range(0, width, 16):
            place = y * width + left
            if size == 3:
                count3(bits, y * stride + left, stride, plane, words, out, place, height * width)
            else:
                count1(bits, (y + 1) * stride + left + 1, stride, plane, words, out, place, height * width)


@settings(max_examples=25)
@given(extents)
def test_counts(case):
    height, width, _, size = case
    _, w, x = draw(*case)
    words, out = np.zeros(48 * 27, np.uint32), np.empty((48, height, width), np.uint16)
    pack_filters(w, words)
    count(pack(x), words, size, height, width, out.ravel())
    expected, _ = conv2d_ref(x[None], w, pad_value=1.0)
    np.testing.assert_array_equal(48 * size * size - 2 * out.astype(np.int64), expected[0])
