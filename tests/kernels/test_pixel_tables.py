"""Products with the signs of pixels against sums term by term, exactly: all values are small whole numbers."""

import numpy as np
from hypothesis import given, settings

from npbsrn.kernels import pixel_tables
from npbsrn.kernels.signed_sums import aligned
from npbsrn.ops.conv import conv2d_ref
from tests.kernels.test_tables import cases, draw


def pack(x):
    """Signs (C, H, W) as bits (C / 16, H + 2, W + 2), padded with +1, and the room that vectors look into."""
    bits = np.zeros((len(x) // 16, x.shape[1] + 2, x.shape[2] + 2), np.uint16)
    for c in range(len(x)):
        bits[c // 16, 1:-1, 1:-1] |= (x[c] < 0).astype(np.uint16) << np.uint16(c % 16)
    return np.append(bits.ravel(), np.zeros(16, np.uint16))


@settings(max_examples=25, deadline=None)
@given(cases)
def test_products_with_pixel_signs(case):
    """dW of a convolution that is padded with +1; with an odd height the last row stands alone."""
    extents, outputs, inputs = case
    height, width, _, size = extents
    vectors = outputs // 16
    chunks = [min(pixel_tables.MOST, vectors - n) for n in range(0, vectors, pixel_tables.MOST)]
    g, w, x = draw(*extents, outputs, inputs)
    nibbles = np.zeros(inputs * (height + 3) * width, np.uint8)
    pixel_tables.pixel_nibbles(pack(x), 0, inputs // 16, height, width + 2, width, nibbles, 0)
    turned, workspace = aligned(32 * 48), aligned(24 * 256)
    dw, per_output = np.zeros(outputs * inputs * size * size, np.float32), inputs * size * size
    for y in range(0, height, 2):
        rows = min(2, height - y)
        both = np.zeros((outputs, 2, width), np.float32)
        both[:, :rows] = g[:, y : y + rows]
        for left in range(0, width, 16):
            first = 0
            for parts in chunks:
                pixel_tables.pixel_tables(both.ravel(), first, parts, left, rows, width, turned, workspace)
                at = first * per_output
                pixel_tables.filters_back(nibbles, 0, inputs, workspace, parts, y, left, height, width, size, dw, at)
                first += 16 * parts
    _, pull = conv2d_ref(x[None], w, pad_value=1.0)
    expected, first = pull(g[None])[1].reshape(outputs, per_output), 0
    for parts in chunks:
        own = slice(first, first + 16 * parts)
        np.testing.assert_array_equal(dw.reshape(outputs, per_output)[own].reshape(per_output, -1).T, expected[own])
        first += 16 * parts
