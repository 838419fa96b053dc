import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import npbsrn
from npbsrn.errors import UsageError
from npbsrn.images.picture import Picture, Tags, split
from npbsrn.images.resample import enlarged_side
from npbsrn.images.resize import resize
from npbsrn.inference.checking import check, scale_of


@pytest.fixture
def original(rng):
    return Picture(resize(rng.integers(0, 256, (6, 7, 3), np.uint8), 6))


def enlarged(picture, scale=4.0):
    return split(npbsrn.upscale(picture.samples(), scale, "bicubic"))


def test_of_whole_scales_the_figures_are_the_protocols(original):
    result = enlarged(original)
    reduced = resize(result.colour.astype(np.float64), 1 / 4)
    error = (np.clip(reduced, 0, 255) - original.colour) / 255
    found = check(original, result)
    assert (found.width, found.height, found.scale, found.alpha_psnr) == (42, 36, 4, None)
    assert found.psnr == pytest.approx(-10 * np.log10(np.mean(error**2)), abs=1e-3)
    assert list(found.shift.values()) == pytest.approx(255 * error.mean((0, 1)), abs=1e-4)
    windows = np.lib.stride_tricks.sliding_window_view((error**2).mean(2), (5, 5)).mean((2, 3))
    assert found.worst.levels >= 255 * np.sqrt(windows.max()) - 1e-4


@given(st.integers(0, 41), st.integers(0, 35), st.integers(1, 40))
def test_a_planted_fault_is_found(x, y, levels):
    original = Picture(np.full((36, 42, 3), 100, np.uint8))
    result = np.full((144, 168, 3), 100, np.uint8)
    result[4 * y : 4 * y + 4, 4 * x : 4 * x + 4, 1] += np.uint8(levels)
    found = check(original, Picture(result))
    assert max(abs(found.worst.x - x), abs(found.worst.y - y)) <= 2
    assert found.shift["red"] == pytest.approx(0, abs=1e-4)
    assert found.shift["green"] == pytest.approx(levels / 36 / 42, rel=0.1)


def test_a_faithful_enlargement_has_no_error():
    picture = Picture(np.full((5, 4), 99, np.uint8))
    found = check(picture, Picture(np.full((20, 16), 99, np.uint8)))
    assert found.psnr > 120
    assert found.shift == pytest.approx({"grey": 0}, abs=1e-4)
    assert check(picture, picture).to_dict()["psnr"] is None
    assert "PSNR         inf dB" in str(check(picture, picture))


def test_grey_against_colour(original):
    grey = Picture(original.colour[:, :, 0])
    alike = Picture(np.repeat(grey.colour[:, :, None], 3, axis=2))
    result = enlarged(alike)
    assert check(grey, result) == check(alike, result)
    assert list(check(alike, enlarged(grey)).shift) == ["red", "green", "blue"]


def test_depth_does_not_matter(original):
    deep = replace(original, colour=original.colour.astype(np.uint16) * 257)
    result = enlarged(original)
    assert check(deep, result).psnr == pytest.approx(check(original, result).psnr, abs=1e-3)


def test_colours_count_as_far_as_they_are_visible(original, rng):
    alpha = np.zeros((36, 42), np.uint8)
    alpha[:, 20:] = 255
    noise = np.where(alpha[:, :, None], original.colour, rng.integers(0, 256, (36, 42, 3), np.uint8))
    clear, other = Picture(original.colour, alpha), Picture(noise, alpha)
    result = enlarged(clear)
    assert check(clear, result) == check(other, result)
    assert check(clear, result).alpha_psnr > 30
    inverse = replace(result, alpha=255 - result.alpha)
    assert check(clear, inverse).alpha_psnr < 1
    assert "of alpha     " in str(check(clear, result))


def test_what_is_opaque_has_no_alpha(original):
    opaque = replace(original, alpha=np.full((36, 42), 255, np.uint8))
    assert check(opaque, enlarged(original)) == check(original, enlarged(original))


def test_alpha_of_one_alone_is_laid_over_white():
    clear = Picture(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8))
    assert check(clear, Picture(np.full((8, 8), 255, np.uint8))).psnr > 120


@given(st.integers(1, 60), st.integers(1, 60), st.floats(1, 16))
def test_the_scale_of_two_sizes(width, height, scale):
    large = enlarged_side(width, scale), enlarged_side(height, scale)
    found = scale_of((width, height), large)
    assert found == pytest.approx(scale, abs=1.01 / max(width, height))
    assert all(abs(a * found - b) <= 1 for a, b in zip((width, height), large, strict=True))


@pytest.mark.parametrize(("scale", "size"), [(1.5, (63, 54)), (2.5, (105, 90)), (5, (210, 180)), (1, (42, 36))])
def test_a_scale_is_as_short_as_can_be(scale, size):
    assert scale_of((42, 36), size) == scale


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((40, 36), "the result has 40x36 pixels, fewer than the original's 42x36; name IN, then OUT"),
        ((144, 168), "144x168 pixels are no enlargement of 42x36 by one scale"),
        ((84, 75), "84x75 pixels are no enlargement of 42x36 by one scale"),
    ],
)
def test_sizes_that_do_not_fit(size, message):
    with pytest.raises(UsageError, match=message):
        scale_of((42, 36), size)


def test_other_profiles_are_said(original):
    with pytest.warns(UserWarning, match="different colour profiles: samples are compared, not colours"):
        check(replace(original, tags=Tags(icc=b"a")), enlarged(original))
    with warnings.catch_warnings():
        check(replace(original, tags=Tags(icc=b"a")), replace(enlarged(original), tags=Tags(icc=b"a")))
