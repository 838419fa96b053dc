"""What stands around the float convolutions of the engine, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from npbsrn.images.samples import to_samples
from npbsrn.kernels.bits import TILE
from npbsrn.kernels.direct_conv import OUTPUTS, blocked
from npbsrn.kernels.memory import load
from npbsrn.packed.ends import (
    from_feature_map,
    rows_from_feature_map,
    rows_to_pixels,
    store_sample,
    surround,
    to_feature_map,
    write_pixels,
)
from tests.strategies import plane_channels, seeds, sides, tile_widths


def whole(extent, step):
    return -(-extent // step) * step


@pytest.mark.parametrize("outputs", [4, OUTPUTS, OUTPUTS + 1, 48])
def test_blocked_filters(rng, outputs):
    w = rng.standard_normal((outputs, 3, 5, 5)).astype(np.float32)
    b = blocked(w)
    assert b.shape == (-(-outputs // OUTPUTS), 3, 25, OUTPUTS)
    flat = b.transpose(0, 3, 1, 2).reshape(-1, 3, 5, 5)
    np.testing.assert_array_equal(flat[:outputs], w)
    assert not flat[outputs:].any()


@settings(max_examples=30)
@given(plane_channels, st.integers(1, 6), tile_widths, st.sampled_from([0, 1, 3]), st.integers(1, 3), seeds)
def test_into_the_stream_and_out_of_it(channels, height, width, grid, lead, seed):
    rng = np.random.default_rng(seed)
    full, tiles, padded = whole(width, 16), -(-width // TILE), whole(channels, 16)
    y = rng.standard_normal((channels + 3, height, full)).astype(np.float32)
    bias = rng.standard_normal(channels).astype(np.float32)
    reach = 4 if grid == 3 else 1
    image = rng.standard_normal((3, height + 2 * reach, width + 2 * reach + 3)).astype(np.float32)
    stream = np.full((height, tiles, channels * TILE), np.nan, np.float32)
    cut = height // 2
    to_feature_map(np.ascontiguousarray(y[:, :cut]), bias, stream, 0)
    to_feature_map(np.ascontiguousarray(y[:, cut:]), bias, stream, cut)
    assert not np.isnan(stream).any()

    expected = np.zeros((height + 2, whole(width, TILE) + lead + 4, padded + 3 * grid * grid), np.float32)
    inside = (y[:channels] + bias[:, None, None])[:, :, :width].transpose(1, 2, 0)
    expected[1:-1, lead : lead + width, :channels] = inside
    for n, (a, b) in enumerate(np.ndindex(grid, grid)):
        apart = image[:, 3 * a : 3 * a + height + 2, 3 * b : 3 * b + width + 2].transpose(1, 2, 0)
        own = slice(padded + 3 * n, padded + 3 * n + 3)
        expected[:, lead - 1 : lead + width + 1, own] = apart
    for first, rows in ((-1, height + 2), (height // 3, 2)):
        pixels = np.full((rows, *expected.shape[1:]), np.nan, np.float32)
        from_feature_map(stream, channels, first, width, lead, image, grid, pixels)
        np.testing.assert_array_equal(pixels, expected[first + 1 : first + 1 + rows])


@pytest.mark.parametrize("margin", [1, 4])
@given(st.sampled_from([1, 5, 16]), st.integers(1, 4), tile_widths, st.integers(0, 3), st.integers(1, 2), seeds)
@settings(max_examples=25)
def test_strips_of_the_stream(margin, channels, height, width, tile, wide, seed):
    rng = np.random.default_rng(seed)
    tiles = -(-width // TILE)
    tile = min(tile, tiles - 1)
    stream = rng.standard_normal((height, tiles, channels, TILE)).astype(np.float32)
    around = np.zeros((height + 4, channels, (tiles + 2) * TILE + 2 * margin), np.float32)
    inside = slice(margin, margin + width)
    around[2:-2, :, inside] = stream.transpose(0, 2, 1, 3).reshape(height, channels, -1)[:, :, :width]
    for first, count in ((-2, height + 4), (height // 2, 2)):
        rows = np.full((count, channels, wide * TILE + 2 * margin), np.nan, np.float32)
        rows_from_feature_map(stream.reshape(height, tiles, -1), first, tile, width, rows)
        expected = around[first + 2 : first + 2 + count, :, tile * TILE : tile * TILE + rows.shape[2]]
        np.testing.assert_array_equal(rows, expected)


@given(st.integers(1, 4), st.integers(1, 100), st.booleans(), seeds)
def test_colours_to_pixels(rows, width, with_base, seed):
    rng = np.random.default_rng(seed)
    left = int(rng.integers(0, width))
    y, bias = rng.standard_normal((rows, 3, 32)).astype(np.float32), rng.standard_normal(3).astype(np.float32)
    base = rng.random((3 if with_base else 0, rows + 2, width), np.float32)
    pixels = np.full((rows, width + 2, 3), np.nan, np.float32)
    rows_to_pixels(y, bias, base, 1, left, width, pixels)
    count = min(32, width - left)
    expected = (y + bias[:, None])[:, :, :count]
    if with_base:
        expected = expected + base[:, 1 : rows + 1, left : left + count].transpose(1, 0, 2)
    np.testing.assert_array_equal(pixels[:, left : left + count], expected.transpose(0, 2, 1))
    assert np.isnan(np.delete(pixels, range(left, left + count), axis=1)).all()


@given(st.integers(1, 5), sides, st.integers(1, 3), st.integers(0, 3), st.integers(0, 3), st.booleans(), seeds)
def test_what_surrounds_the_features(rows, width, lead, above, below, base, seed):
    rng = np.random.default_rng(seed)
    shape = above + rows + below, width + 2 * lead + 5, 16 + 3 * base
    trunk = rng.standard_normal(shape).astype(np.float32)
    first = int(rng.integers(0, 3))
    picture = rng.random((3 if base else 0, first + shape[0] + 1, width + 2 * lead), np.float32)
    features = trunk.copy()
    features[:, :, 16:] = np.nan
    surround(features, above, below, lead, width, picture, first)
    expected = np.zeros(shape, np.float32)
    inside = slice(above, above + rows), slice(lead, lead + width)
    expected[inside] = trunk[inside]
    if base:
        expected[:, :, 16:] = 0
        expected[:, : width + 2 * lead, 16:] = picture[:, first : first + shape[0]].transpose(1, 2, 0)
    np.testing.assert_array_equal(features, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 20), st.integers(0, 5), seeds)
def test_pixels(dtype, scale, height, width, left, seed):
    rng = np.random.default_rng(seed)
    phases = 3 * scale**2
    y = rng.uniform(-0.2, 1.2, (height, left + width + 1, whole(phases, 16))).astype(np.float32)
    out = np.full((height * scale, width * scale + 4, 3), 77, dtype)
    write_pixels(y, scale, left, out[:, 2:-2])
    wanted = y[:, left : left + width, :phases].reshape(height, width, scale, scale, 3)
    expected = to_samples(wanted.transpose(0, 2, 1, 3, 4).reshape(height * scale, width * scale, 3), dtype)
    np.testing.assert_array_equal(out[:, 2:-2], expected)
    assert np.all(out[:, [0, 1, -2, -1]] == 77)


def test_halves_are_rounded_up():
    values = np.float32([0.5, 1.5, 2.5, 253.5, 254.5]) / 255
    y = np.repeat(np.pad(values, (0, 1))[None, :, None], 16, axis=2)
    out = np.empty((2, 10, 3), np.uint8)
    write_pixels(y, 2, 0, out)
    expected = np.floor(values * np.float32(255) + np.float32(0.5))
    assert expected.tolist() == [1, 2, 3, 254, 255]
    np.testing.assert_array_equal(out[0, ::2, 0], expected)


@njit
def samples(x, out):
    store_sample(out, 1, load(x, 0))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_samples(rng, dtype):
    x, out = rng.random(16, np.float32), np.zeros(18, dtype)
    x[:3] = 0, 1, 0.5
    samples(x, out)
    np.testing.assert_array_equal(out[1:17], to_samples(x, dtype))
    assert not out[[0, 17]].any()
