"""Products with the signs of filters against sums term by term, exactly: all values are small whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels import tables
from npbsrn.kernels.signed_sums import aligned, signed_sums
from npbsrn.ops.conv import conv2d_ref

channels = st.sampled_from([16, 32, 48, 64, 80, 96])
extents = st.tuples(st.integers(1, 5), st.sampled_from([16, 32, 48]), st.integers(0, 999), st.sampled_from([1, 3]))
cases = st.tuples(extents, channels, channels)


def draw(height, width, seed, size, outputs=48, inputs=48):
    """Whole cotangents (O, H, W) and signs of filters (O, I, k, k) and of pixels (I, H, W)."""
    rng = np.random.default_rng(seed)
    g = rng.integers(-9, 10, (outputs, height, width)).astype(np.float32)
    w = rng.choice([-1.0, 1.0], (outputs, inputs, size, size)).astype(np.float32)
    return g, w, rng.choice([-1.0, 1.0], (inputs, height, width)).astype(np.float32)


def test_signed_sums():
    values = np.arange(64, dtype=np.float32).reshape(4, 16) ** 2
    out = np.empty(256, np.float32)
    signed_sums(values.ravel(), 0, 16, out, 0)
    for n in range(16):
        signs = [-1.0 if n >> b & 1 else 1.0 for b in range(4)]
        np.testing.assert_array_equal(out[16 * n : 16 * n + 16], signs @ values)


@settings(max_examples=25, deadline=None)
@given(cases)
def test_products_with_filter_signs(case):
    """dX of a convolution that is padded by a constant, by chunks of output channels."""
    extents, outputs, inputs = case
    height, width, _, size = extents
    g, w, x = draw(*extents, outputs, inputs)
    nibbles, workspace = np.zeros(tables.nibbles_size(outputs, inputs, size), np.uint8), aligned(tables.CHUNK * 256)
    tables.filter_nibbles(w, nibbles)
    dx, ring, flat = np.empty((inputs, height, width), np.float32), aligned(9 * inputs * (width + 32)), g.ravel()
    out, pixels = dx.ravel(), height * width
    for h in range(height):
        for left in range(0, width, 16):
            for first in range(0, outputs // 4, tables.CHUNK):
                groups, start = (
                    tables.chunk_of(outputs, first),
                    inputs * tables.stride_of(tables.CHUNK, tables.part_of(tables.CHUNK), size) * (first > 0),
                )
                place = h * width + left
                tables.row_tables(flat, 4 * first * pixels + place, pixels, groups, workspace)
                if size == 3:
                    tables.spread_row(workspace, nibbles, start, groups, inputs, left, h, width, first == 0, ring)
                else:
                    tables.spread_1x1(workspace, nibbles, start, groups, inputs, first == 0, out, place, pixels)
        if size == 3 and h > 0:
            tables.join_row(ring, h - 1, inputs, width, out, (h - 1) * width, pixels, 1)
    if size == 3:
        tables.join_row(ring, height - 1, inputs, width, out, (height - 1) * width, pixels, 1)
    _, pull = conv2d_ref(x[None], w, pad_value=1.0)
    np.testing.assert_array_equal(dx, pull(g[None])[0][0])


@pytest.mark.parametrize("size", [1, 3])
def test_every_filter_nibble_is_eight_times_its_bits(size):
    _, w, _ = draw(1, 16, 5, size)
    nibbles = np.zeros(tables.nibbles_size(48, 48, size), np.uint8)
    tables.filter_nibbles(w, nibbles)
    assert set(np.unique(nibbles)) == {8 * n for n in range(16)}
    first = sum(8 << b for b in range(4) if w[b, 0, 0, 0] < 0)
    assert nibbles[0] == first
