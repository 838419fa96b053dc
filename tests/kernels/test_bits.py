"""Signs as words, and counts of differing bits against the float convolution."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels.bits import counts_ref, pack_channels, pack_filters, pack_picture, planes_of
from npbsrn.ops.conv import conv2d_ref
from tests.strategies import PLANE_CHANNELS, plane_channels, seeds, sides


@given(plane_channels, sides, sides, seeds)
def test_words_hold_every_sign_and_nothing_else(channels, height, width, seed):
    negative = np.random.default_rng(seed).random((channels, height, width)) < 0.5
    words = pack_channels(negative)
    assert words.dtype == np.uint16
    assert words.shape == (planes_of(channels), height, width)
    bits = words[:, None] >> np.arange(16, dtype=np.uint16)[:, None, None] & 1
    unpacked = bits.reshape(-1, height, width)
    np.testing.assert_array_equal(unpacked[:channels], negative)
    assert not unpacked[channels:].any()


@pytest.mark.parametrize("shape", [(17,), (17, 3), (17, 2, 3, 1)])
def test_channels_are_the_first_axis_of_any_array(rng, shape):
    negative = rng.random(shape) < 0.5
    words = pack_channels(negative)
    assert words.shape == (2, *shape[1:])
    np.testing.assert_array_equal(words[1], negative[16])


@given(plane_channels, sides, sides, st.integers(0, 5), seeds)
def test_around_a_picture_there_is_plus_one(channels, height, width, spare, seed):
    negative = np.random.default_rng(seed).random((channels, height, width)) < 0.5
    rows = pack_picture(negative, width + 2 + spare)
    assert rows.shape == (height + 2, planes_of(channels), width + 2 + spare)
    np.testing.assert_array_equal(rows[1:-1, :, 1 : width + 1], pack_channels(negative).transpose(1, 0, 2))
    rows[1:-1, :, 1 : width + 1] = 0
    assert not rows.any()


def test_filters_are_read_by_group_then_output_plane_and_tap():
    signs = np.ones((2, 65, 3, 3), np.float32)
    for place, (o, c, y, x) in {4: (0, 0, 1, 1), 26: (0, 47, 2, 2), 27: (1, 15, 0, 0), 54: (0, 48, 0, 0)}.items():
        own = signs.copy()
        own[o, c, y, x] = -1
        words = pack_filters(own)
        assert len(words) == 2 * 5 * 9
        assert np.flatnonzero(words).tolist() == [place]
        assert words[place] == 1 << c % 16


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("channels", PLANE_CHANNELS)
@settings(max_examples=8)
@given(plane_channels, sides, sides, seeds)
def test_counts_are_those_of_the_float_convolution(channels, size, outputs, height, width, seed):
    """Sums of signs are whole numbers, and exact."""
    rng = np.random.default_rng(seed)
    x = rng.choice(np.float32([-1, 1]), (channels, height, width))
    w = rng.choice(np.float32([-1, 1]), (outputs, channels, size, size))
    counts = counts_ref(pack_picture(x < 0, width + 2), pack_filters(w), size, height, width)
    expected, _ = conv2d_ref(x[None], w, pad_value=1.0)
    np.testing.assert_array_equal(channels * size * size - 2 * counts.astype(np.int64), expected[0])
