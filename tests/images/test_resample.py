import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.resample import enlarged_side, resize_to
from npbsrn.images.resize import bicubic_matrix, resize
from npbsrn.images.samples import to_fractions, to_samples

sides = st.integers(1, 30)
KINDS = [np.uint8, np.uint16, np.float32]


def samples(rng, shape, dtype):
    fractions = rng.random(shape, np.float32)
    return to_samples(fractions, dtype)


@given(sides, sides, sides, sides, st.sampled_from(KINDS), st.sampled_from([(), (3,)]), st.integers(0, 99))
def test_it_is_the_product_of_two_matrices(height, width, new_height, new_width, dtype, channels, seed):
    picture = samples(np.random.default_rng(seed), (height, width, *channels), dtype)
    down = bicubic_matrix(height, new_height, new_height / height).toarray()
    across = bicubic_matrix(width, new_width, new_width / width).toarray()
    expected = np.einsum("ij,jk...,lk->il...", down, to_fractions(picture).astype(np.float64), across)
    result = to_fractions(resize_to(picture, new_height, new_width))
    step = {"uint8": 0.51 / 255, "uint16": 0.6 / 65535, "float32": 0}[np.dtype(dtype).name]  # rounding, and float32's
    np.testing.assert_allclose(result, expected.clip(0, 1), rtol=0, atol=step + 4e-6)


@pytest.mark.parametrize("scale", [2, 3, 4, 1 / 2, 1 / 4])
@pytest.mark.parametrize("dtype", KINDS)
def test_whole_scales_are_those_of_resize(rng, scale, dtype):
    picture = samples(rng, (68, 132, 3), dtype)
    expected = to_samples(resize(to_fractions(picture), scale), dtype)
    np.testing.assert_array_equal(resize_to(picture, *expected.shape[:2]), expected)


def test_threads_do_not_matter(rng):
    picture = samples(rng, (150, 40, 3), np.uint8)
    results = [resize_to(picture, 333, 77, threads) for threads in (1, 2, 5)]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@given(st.integers(0, 255), sides, sides)
def test_flat_colour_stays(level, height, width):
    picture = np.full((7, 5), level, np.uint8)
    np.testing.assert_array_equal(resize_to(picture, height, width), np.full((height, width), level, np.uint8))


@given(st.integers(1, 10**5), st.floats(1, 16))
def test_sides_are_the_nearest_whole_numbers(side, scale):
    assert abs(enlarged_side(side, scale) - side * scale) <= 0.5 + 1e-8


@pytest.mark.parametrize(
    ("side", "scale", "expected"), [(5, 1.5, 8), (3, 1.1, 3), (5, 1.1, 6), (45, 1.7, 77), (7, 4, 28)]
)
def test_halves_are_rounded_up(side, scale, expected):
    assert enlarged_side(side, scale) == expected
