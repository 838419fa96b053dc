"""Flat pixels against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.flat import REACH, flat_pixels, keep_flat
from npbsrn.images.resize import resize
from npbsrn.images.samples import to_fractions
from npbsrn.ops.enlarge import enlarge
from tests.strategies import seeds

sizes = st.integers(1, 14)


def patches(rng, height, width, share):
    """A picture of two colours, in large patches, with some other pixels."""
    coarse = rng.integers(0, 2, (-(-height // 7), -(-width // 7)))
    picture = rng.integers(0, 256, (2, 3), np.uint8)[coarse.repeat(7, 0).repeat(7, 1)[:height, :width]]
    other = rng.random((height, width)) < share
    picture[other] = rng.integers(0, 256, (np.count_nonzero(other), 3), np.uint8)
    return picture


def flat_ref(picture):
    height, width, _ = picture.shape
    flat = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        around = picture[max(y - REACH, 0) : y + REACH + 1, max(x - REACH, 0) : x + REACH + 1]
        flat[y, x] = np.all(around == picture[y, x])
    return flat


@given(seeds, sizes, sizes, st.sampled_from([0, 0.01, 0.1]))
def test_equals_plain_loops(seed, height, width, share):
    picture = patches(np.random.default_rng(seed), height, width, share)
    np.testing.assert_array_equal(flat_pixels(picture), flat_ref(picture))


@given(seeds, st.integers(5, 14), st.integers(5, 14), st.integers(0, 2))
def test_one_channel_is_enough_to_differ(seed, height, width, channel):
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 77, np.uint8)
    assert flat_pixels(picture).all()
    y, x = rng.integers(0, height), rng.integers(0, width)
    picture[y, x, channel] += 1
    rows, columns = np.ogrid[:height, :width]
    far = np.maximum(abs(rows - y), abs(columns - x)) > REACH
    np.testing.assert_array_equal(flat_pixels(picture), far)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_enlargement_looks_no_further(rng, scale):
    """So what is written is the base, without details."""
    picture = to_fractions(patches(rng, 30, 40, 0.003))
    flat = flat_pixels(picture)
    assert 0.1 < flat.mean() < 0.9
    large = enlarge(picture.transpose(2, 0, 1)[None].astype(np.float64), scale)[0][0].transpose(1, 2, 0)
    inside = flat.repeat(scale, 0).repeat(scale, 1)
    same = picture.repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_allclose(large[inside], same[inside], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planes", [False, True])
def test_flat_pixels_are_kept_and_no_others(rng, dtype, planes):
    picture = patches(rng, 20, 33, 0.003).astype(dtype)
    flat = flat_pixels(picture)
    before = resize(rng.random((20, 33, 3), np.float32), 3).astype(dtype)
    enlarged = before.transpose(2, 0, 1).copy().transpose(1, 2, 0) if planes else before.copy()
    keep_flat(picture, flat, enlarged)
    inside = flat.repeat(3, 0).repeat(3, 1)
    np.testing.assert_array_equal(enlarged[inside], picture.repeat(3, 0).repeat(3, 1)[inside])
    np.testing.assert_array_equal(enlarged[~inside], before[~inside])
