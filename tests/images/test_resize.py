import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from npbsrn.errors import UsageError
from npbsrn.images.resize import resize

scales = st.sampled_from([2, 3, 4, 1 / 2, 1 / 3, 1 / 4])


def naive_axis(values, scale):
    """One axis, pixel by pixel, from the definition of imresize."""

    def kernel(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    stretch, size = min(scale, 1), len(values)
    result = np.zeros((-(-size // round(1 / scale)) if scale < 1 else size * scale, *values.shape[1:]))
    for i in range(len(result)):
        centre = (i + 0.5) / scale - 0.5
        total = 0.0
        for j in range(int(centre - 3 / stretch) - 2, int(centre + 3 / stretch) + 3):
            weight = kernel((centre - j) * stretch)
            k = j % (2 * size)
            result[i] += weight * values[k if k < size else 2 * size - 1 - k]
            total += weight
        result[i] /= total
    return result


@given(st.integers(1, 12), st.integers(1, 12), scales)
def test_equals_the_definition(height, width, scale):
    picture = np.random.default_rng(height * 13 + width).random((height, width))
    expected = naive_axis(naive_axis(picture, scale).T, scale).T
    np.testing.assert_allclose(resize(picture, scale), expected, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1 / 3, 1 / 4])
def test_inside_it_is_pillow(rng, scale):
    """Pillow has the same kernel and other borders."""
    picture = rng.random((48, 36)).astype(np.float32)
    ours = resize(picture, scale)
    theirs = np.asarray(Image.fromarray(picture).resize(ours.shape[::-1], Image.Resampling.BICUBIC))
    inner = (slice(int(4 * max(1, scale)), -int(4 * max(1, scale))),) * 2
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1e-5)


@given(st.integers(1, 20), st.integers(1, 20), scales, st.integers(0, 255))
def test_a_flat_picture_stays_flat(height, width, scale, value):
    picture = np.full((height, width, 3), value, np.uint8)
    result = resize(picture, scale)
    assert result.shape == (int(np.ceil(round(height * scale, 9))), int(np.ceil(round(width * scale, 9))), 3)
    assert np.all(result == value)


def test_eight_bits_are_rounded_after_each_axis(rng):
    picture = rng.integers(0, 256, (20, 20), np.uint8)
    rows = np.clip(np.floor(naive_axis(picture.astype(float), 0.5) + 0.5), 0, 255)
    both = np.clip(np.floor(naive_axis(rows.T, 0.5).T + 0.5), 0, 255)
    np.testing.assert_array_equal(resize(picture, 0.5), both)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_dtypes_are_kept_and_not_clipped(dtype):
    step = np.repeat(np.array([0, 1], dtype), 8)[None].repeat(4, axis=0)
    result = resize(step, 2)
    assert result.dtype == dtype
    assert result.max() > 1


def test_whole_numbers_beside_uint8_are_refused():
    with pytest.raises(UsageError, match="uint8 or floating pictures, not int64"):
        resize(np.zeros((2, 2), np.int64), 2)
    with pytest.raises(UsageError, match="must be positive"):
        resize(np.zeros((2, 2)), 0)
