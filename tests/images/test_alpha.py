import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.images.alpha import SURE, fill_colour, within_neighbours
from tests.strategies import seeds, sides


@given(sides, sides, seeds)
def test_sure_colours_stay_and_the_others_lie_between_them(height, width, seed):
    rng = np.random.default_rng(seed)
    colour = rng.random((height, width, 3), np.float32)
    alpha = rng.choice(np.float32([0, 0.5 / SURE, 1 / SURE, 1]), (height, width))
    filled = fill_colour(colour, alpha)
    sure = alpha >= 1 / SURE
    np.testing.assert_array_equal(filled[sure], colour[sure])
    assert filled.shape == colour.shape
    assert filled.dtype == np.float32
    assert np.all((filled >= 0) & (filled <= 1))


@given(sides, sides, st.integers(0, 80))
def test_one_colour_fills_all(height, width, place):
    """Whatever stands under transparent pixels, also far from the others."""
    colour = np.random.default_rng(0).random((height, width, 3), np.float32)
    alpha = np.zeros((height, width), np.float32)
    at = np.unravel_index(place % (height * width), alpha.shape)
    alpha[at] = 1
    np.testing.assert_allclose(fill_colour(colour, alpha), np.broadcast_to(colour[at], colour.shape), atol=1e-6)


@pytest.mark.parametrize("alpha", [0, 1])
def test_where_all_is_transparent_or_opaque_nothing_changes(alpha):
    colour = np.random.default_rng(0).random((5, 6, 3), np.float32)
    np.testing.assert_array_equal(fill_colour(colour, np.full((5, 6), alpha, np.float32)), colour)


def test_a_faint_pixel_has_the_colour_of_its_neighbours_in_so_far_as_it_is_faint():
    colour = np.ones((4, 4, 3), np.float32)
    alpha = np.ones((4, 4), np.float32)
    colour[1, 1], alpha[1, 1] = 0, 0.25 / SURE
    assert fill_colour(colour, alpha)[1, 1] == pytest.approx([0.75] * 3, abs=0.1)


@given(sides, sides, st.sampled_from([2, 3, 4]), seeds)
def test_alpha_stays_within_its_neighbours(height, width, scale, seed):
    rng = np.random.default_rng(seed)
    alpha = rng.choice(np.float32([0, 0.5, 1]), (height, width))
    enlarged = rng.normal(size=(height * scale, width * scale)).astype(np.float32)
    result = within_neighbours(enlarged, alpha, scale)
    for y, x in np.ndindex(result.shape):
        row, column = y // scale, x // scale
        around = alpha[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        assert result[y, x] == np.clip(enlarged[y, x], around.min(), around.max())
