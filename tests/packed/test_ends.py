"""What stands around the float convolutions of the engine, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels.direct_conv import OUTPUTS, blocked
from npbsrn.ops.shuffle import pixel_shuffle
from npbsrn.packed.ends import add_head, from_stream, to_stream, write_pixels
from npbsrn.packed.kernels import TILE
from tests.strategies import seeds, sides, tile_widths


def whole_vectors(width):
    return -(-width // 16) * 16


@pytest.mark.parametrize("outputs", [1, OUTPUTS, OUTPUTS + 1, 48])
def test_blocked_filters(rng, outputs):
    w = rng.standard_normal((outputs, 3, 5, 5)).astype(np.float32)
    b = blocked(w)
    assert b.shape == (-(-outputs // OUTPUTS), 3, 25, OUTPUTS)
    flat = b.transpose(0, 3, 1, 2).reshape(-1, 3, 5, 5)
    np.testing.assert_array_equal(flat[:outputs], w)
    assert not flat[outputs:].any()


@settings(max_examples=30)
@given(st.integers(1, 20), st.integers(1, 6), tile_widths, seeds)
def test_into_the_stream_and_out_of_it(channels, height, width, seed):
    rng = np.random.default_rng(seed)
    full, tiles = whole_vectors(width), -(-width // TILE)
    y = rng.standard_normal((channels + 3, height, full)).astype(np.float32)
    bias = rng.standard_normal(channels).astype(np.float32)
    stream = np.full((height, tiles, channels * TILE), np.nan, np.float32)
    cut = height // 2
    to_stream(np.ascontiguousarray(y[:, :cut]), bias, stream, 0)
    to_stream(np.ascontiguousarray(y[:, cut:]), bias, stream, cut)
    assert not np.isnan(stream).any()
    padded = np.full((channels, height + 2, full + 2), np.nan, np.float32)
    from_stream(stream, -1, width, padded)
    expected = np.zeros_like(padded)
    expected[:, 1:-1, 1 : width + 1] = (y[:channels] + bias[:, None, None])[:, :, :width]
    np.testing.assert_array_equal(padded, expected)
    first = height // 3
    part = np.full((channels, 2, full + 2), np.nan, np.float32)
    from_stream(stream, first, width, part)
    np.testing.assert_array_equal(part, expected[:, first + 1 : first + 3])


@given(st.integers(1, 5), sides, tile_widths, st.integers(0, 2), st.integers(0, 2), seeds)
def test_the_sum_of_trunk_and_head(channels, height, width, above, below, seed):
    rng = np.random.default_rng(seed)
    full = whole_vectors(width)
    trunk, head = rng.integers(-9, 10, (2, channels + 1, height, full)).astype(np.float32)
    trunk_bias, head_bias = rng.integers(-9, 10, (2, channels)).astype(np.float32)
    padded = np.full((channels + 3, above + height + below, full + 4), np.nan, np.float32)
    add_head(trunk, trunk_bias, head, head_bias, width, above, below, padded)
    expected = np.zeros((channels, above + height + below, full + 4), np.float32)
    total = (trunk + head)[:channels] + (trunk_bias + head_bias)[:, None, None]
    expected[:, above : above + height, 2 : width + 2] = total[:, :, :width]
    np.testing.assert_array_equal(padded[:channels], expected)
    assert np.isnan(padded[channels:]).all()


@pytest.mark.parametrize(("dtype", "peak"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 0)])
@given(st.integers(2, 4), st.integers(1, 3), st.integers(1, 20), st.integers(0, 5), seeds)
def test_pixels(dtype, peak, scale, height, width, left, seed):
    rng = np.random.default_rng(seed)
    y = rng.uniform(-0.2, 1.2, (3 * scale**2 + 2, height, left + width + 3)).astype(np.float32)
    out = np.full((height * scale, width * scale + 4, 3), 77, dtype)
    write_pixels(y, scale, float(peak), left, out[:, 2:-2])
    shuffled = pixel_shuffle(y[None, : 3 * scale**2, :, left : left + width], scale)[0][0].transpose(1, 2, 0)
    expected = np.clip(shuffled, 0, 1)
    if peak:
        expected = np.floor(expected * np.float32(peak) + np.float32(0.5))
    np.testing.assert_array_equal(out[:, 2:-2], expected.astype(dtype))
    assert np.all(out[:, [0, 1, -2, -1]] == 77)


def test_halves_are_rounded_up():
    values = np.float32([0.5, 1.5, 2.5, 253.5, 254.5]) / 255
    y = np.repeat(values[None, None], 12, axis=0)
    out = np.empty((2, 10, 3), np.uint8)
    write_pixels(y, 2, 255.0, 0, out)
    expected = np.floor(values * np.float32(255) + np.float32(0.5))
    assert expected.tolist() == [1, 2, 3, 254, 255]
    np.testing.assert_array_equal(out[0, ::2, 0], expected)
