"""Signs as words against NumPy."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.kernels.bits import pack_channels, pack_filters
from npbsrn.kernels.pack import filter_words
from npbsrn.ops.bits import pack

planes = st.integers(1, 6)


@settings(deadline=None)
@given(st.integers(1, 5), planes, st.integers(1, 5), st.integers(1, 50), st.sampled_from([1.0, -1.0]))
def test_pack(n, groups, height, width, pad):
    rng = np.random.default_rng(n + groups + height + width)
    x = rng.choice(np.array([-2, -1e-30, -0.0, 0, 3], np.float32), (n, 16 * groups, height, width))
    bits = pack(x, pad)
    expected = np.full(bits.words.shape, 0 if pad > 0 else 0xFFFF, np.uint16)
    expected[..., 1:-1, 1:-1] = pack_channels(np.moveaxis(x < 0, 1, 0)).transpose(1, 0, 2, 3)
    np.testing.assert_array_equal(bits.words, expected)
    np.testing.assert_array_equal(bits.unpack(), np.where(x < 0, np.float32(-1), np.float32(1)))
    other = bits.padded(-pad)
    np.testing.assert_array_equal(other.words, pack(x, -pad).words)
    np.testing.assert_array_equal(bits.words, expected)


@settings(deadline=None)
@given(st.integers(1, 3), planes, st.integers(1, 5), st.integers(1, 50), st.integers(0, 99))
def test_pack_around_thresholds(n, groups, height, width, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (n, 16 * groups, height, width)).astype(np.float32)
    shift = rng.integers(-2, 3, 16 * groups).astype(np.float32)
    expected = np.where(x + shift[:, None, None] < 0, np.float32(-1), np.float32(1))
    np.testing.assert_array_equal(pack(x, 1.0, shift).unpack(), expected)


@settings(deadline=None)
@given(st.integers(1, 40), planes, st.sampled_from([1, 3]))
def test_filter_words(outputs, groups, size):
    signs = np.random.default_rng(outputs).choice(np.array([-1, 1], np.float32), (outputs, 16 * groups, size, size))
    words = np.zeros(outputs * groups * size**2, np.uint16)
    filter_words(signs, words)
    np.testing.assert_array_equal(words, pack_filters(signs))
