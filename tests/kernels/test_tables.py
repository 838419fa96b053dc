"""Products by tables against sums term by term, exactly: all values are small whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels import tables
from npbsrn.ops.conv import conv2d_ref

cases = st.tuples(st.integers(1, 5), st.sampled_from([16, 32, 48]), st.integers(0, 999), st.sampled_from([1, 3]))


def draw(height, width, seed, size):
    """Whole cotangents (48, H, W) and signs of filters (48, 48, k, k) and of pixels (48, H, W)."""
    rng = np.random.default_rng(seed)
    g = rng.integers(-9, 10, (48, height, width)).astype(np.float32)
    w = rng.choice([-1.0, 1.0], (48, 48, size, size)).astype(np.float32)
    return g, w, rng.choice([-1.0, 1.0], (48, height, width)).astype(np.float32)


def test_signed_sums():
    values = np.arange(64, dtype=np.float32).reshape(4, 16) ** 2
    out = np.empty(256, np.float32)
    tables.signed_sums(values.ravel(), 0, 16, out, 0)
    for n in range(16):
        signs = [-1.0 if n >> b & 1 else 1.0 for b in range(4)]
        np.testing.assert_array_equal(out[16 * n : 16 * n + 16], signs @ values)


def in_tiles(tiles, height, width):
    return tiles.reshape(height * width // 16, 48, 16).transpose(1, 0, 2).reshape(48, height, width)


@settings(max_examples=25)
@given(cases)
def test_products_with_filter_signs(case):
    """dX of a convolution that is padded by a constant."""
    height, width, _, size = case
    g, w, x = draw(*case)
    nibbles, room = np.zeros(48 * 112, np.uint8), tables.aligned(12 * 256)
    tables.filter_nibbles(w, nibbles)
    dx, ring, flat = np.empty(48 * height * width, np.float32), tables.aligned(9 * 48 * (width + 32)), g.ravel()
    for h in range(height):
        for left in range(0, width, 16):
            tables.row_tables(flat, h * width + left, height * width, room)
            if size == 3:
                tables.spread_row(room, nibbles, left, h, width, ring)
            else:
                tables.spread_1x1(room, nibbles, dx, 48 * (h * width + left))
        if size == 3 and h > 0:
            tables.join_row(ring, h - 1, width, dx)
    if size == 3:
        tables.join_row(ring, height - 1, width, dx)
    _, pull = conv2d_ref(x[None], w, pad_value=1.0)
    np.testing.assert_array_equal(in_tiles(dx, height, width), pull(g[None])[0][0])


def pack(x):
    """Signs (48, H, W) as bits (3, H + 2, W + 2), padded with +1, and the room that vectors look into."""
    bits = np.zeros((3, x.shape[1] + 2, x.shape[2] + 2), np.uint16)
    for c in range(48):
        bits[c // 16, 1:-1, 1:-1] |= (x[c] < 0).astype(np.uint16) << np.uint16(c % 16)
    return np.append(bits.ravel(), np.zeros(16, np.uint16))


@settings(max_examples=25)
@given(cases)
def test_products_with_pixel_signs(case):
    """dW of a convolution that is padded with +1; with an odd height the last row stands alone."""
    height, width, _, size = case
    g, w, x = draw(*case)
    nibbles = np.zeros(48 * (height + 3) * width, np.uint8)
    tables.pixel_nibbles(pack(x), height, width, nibbles)
    turned, room = tables.aligned(32 * 48), tables.aligned(24 * 256)
    dw = np.zeros(48 * size * size * 48, np.float32)
    for y in range(0, height, 2):
        rows = min(2, height - y)
        both = np.zeros((48, 2, width), np.float32)
        both[:, :rows] = g[:, y : y + rows]
        for left in range(0, width, 16):
            tables.pixel_tables(both.ravel(), left, rows, width, turned, room)
            tables.filters_back(nibbles, room, y, left, height, width, size, dw)
    _, pull = conv2d_ref(x[None], w, pad_value=1.0)
    expected = pull(g[None])[1]
    np.testing.assert_array_equal(dw.reshape(48, size, size, 48).transpose(3, 0, 1, 2), expected)


@pytest.mark.parametrize("size", [1, 3])
def test_every_filter_nibble_is_eight_times_its_bits(size):
    _, w, _ = draw(1, 16, 5, size)
    nibbles = np.zeros(48 * 112, np.uint8)
    tables.filter_nibbles(w, nibbles)
    assert set(np.unique(nibbles)) == {8 * n for n in range(16)}
    first = sum(8 << b for b in range(4) if w[b, 0, 0, 0] < 0)
    assert nibbles[0] == first
