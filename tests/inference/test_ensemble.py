from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npbsrn
from npbsrn.errors import TooLargeError
from npbsrn.images.samples import BAND
from npbsrn.inference.ensemble import STEPS, TURNS, turned, turned_back
from npbsrn.inference.runners import Bicubic
from tests.peak import measured
from tests.strategies import pictures

DTYPES = {"uint8": 1, "uint16": 257, "float32": 1 / 255}  # and what makes them of 8 bits


def as_dtype(picture, name):
    return (picture.astype(np.float64) * DTYPES[name]).astype(name)


def test_turns_are_eight_and_can_be_undone(rng):
    x = rng.random((3, 3, 3))
    assert len({turned(x, turn).tobytes() for turn in range(TURNS)}) == 8
    for turn in range(TURNS):
        y = rng.random((3, 5, 4))
        np.testing.assert_array_equal(turned_back(turned(y, turn), turn), y)


# Of each dtype as many examples as make fifty of all: the code is the same but for the sums' dtype.
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=17)
@given(picture=pictures(max_side=7), turn=st.integers(0, TURNS - 1))
def test_a_turned_picture_gives_the_turned_result(tiny_model, dtype, picture, turn):
    """To the bit, though neither the network nor the colour under transparent pixels is the same from all sides."""
    picture = as_dtype(picture, dtype)
    result = npbsrn.upscale(picture, 4, tiny_model, ensemble=True)
    of_turned = npbsrn.upscale(np.ascontiguousarray(turned(picture, turn)), 4, tiny_model, ensemble=True)
    np.testing.assert_array_equal(of_turned, turned(result, turn))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=17)
@given(picture=pictures(max_side=5))
def test_it_is_the_mean_of_eight(tiny_model, dtype, picture):
    picture = as_dtype(picture, dtype)
    eight = [turned_back(npbsrn.upscale(turned(picture, n), 4, tiny_model), n) for n in range(TURNS)]
    result = npbsrn.upscale(picture, 4, tiny_model, ensemble=True)
    assert (result.dtype, result.shape) == (eight[0].dtype, eight[0].shape)
    for got, *values in zip(result.ravel(), *(one.ravel() for one in eight), strict=True):
        mean = sum(Fraction(float(value)) for value in values) / 8
        if dtype == "float32":
            assert abs(Fraction(float(got)) - mean) <= Fraction(1 / STEPS)
        else:
            assert got == (mean + Fraction(1, 2)) // 1  # rounded halves up


def test_higher_pictures_than_a_band(tiny_model, rng):
    picture = rng.integers(0, 256, (BAND // 4 + 3, 2, 3), np.uint8)
    eight = [turned_back(npbsrn.upscale(turned(picture, n), 4, tiny_model), n) for n in range(TURNS)]
    mean = (np.sum(eight, axis=0, dtype=int) + 4) // 8
    np.testing.assert_array_equal(npbsrn.upscale(picture, 4, tiny_model, ensemble=True), mean)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("model", [None, "bicubic"])
def test_one_pixel_is_the_same_from_all_sides(scale, model):
    """And extremes stay what they are: no sum of eight is too large for its type."""
    for pixel in ([[[255, 255, 255, 255]]], [[[0, 255, 90, 255]]], [[7]], [[255]]):
        for dtype in DTYPES:
            picture = as_dtype(np.array(pixel), dtype)
            plain, mean = (npbsrn.upscale(picture, scale, model, ensemble=ensemble) for ensemble in (False, True))
            for turn in range(TURNS):
                np.testing.assert_array_equal(turned(mean, turn), mean)
            slack = 1 / STEPS if dtype == "float32" else 0
            assert np.all(plain.min(axis=(0, 1)) - slack <= mean)
            assert np.all(mean <= plain.max(axis=(0, 1)) + slack)


@pytest.mark.parametrize("dtype", DTYPES)
@given(picture=pictures(max_side=9), scale=st.sampled_from([2, 3, 4]))
def test_bicubic_is_bicubic_but_for_rounding(dtype, picture, scale):
    picture = as_dtype(picture, dtype)
    opaque = picture[:, :, :3] if picture.ndim == 3 else picture  # how colour flows differs from side to side
    plain, mean = (npbsrn.upscale(opaque, scale, "bicubic", ensemble=ensemble) for ensemble in (False, True))
    assert np.abs(mean.astype(float) - plain).max() <= (1e-6 if dtype == "float32" else 1)


def test_threads_and_tiles_change_nothing(tiny_model, rng):
    picture = rng.integers(0, 256, (37, 45, 4), np.uint8)
    results = [
        npbsrn.upscale(picture, 4, tiny_model, ensemble=True, threads=threads, tile=tile)
        for threads, tile in ((1, "auto"), (3, 16), (2, 20))
    ]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


class Counted(Bicubic):
    runs = 0

    def run(self, picture, threads=None, tile=None, progress=None):
        self.runs += 1
        return super().run(picture, threads, tile)


@pytest.mark.parametrize(("dtype", "bytes_a_sample"), [("uint8", 3), ("uint16", 6), ("float32", 8)])
def test_too_little_memory_is_refused_before_the_work(monkeypatch, dtype, bytes_a_sample):
    runner, picture = Counted(2), np.zeros((5, 6, 4), dtype)
    need = 5 * 6 * 4 * 2**2 * bytes_a_sample
    monkeypatch.setattr("npbsrn.inference.ensemble.available_bytes", lambda: need - 1)
    with pytest.raises(TooLargeError, match=r"6x5 pixels need more than .* for the mean of eight turns"):
        npbsrn.upscale(picture, 2, runner, ensemble=True)
    assert runner.runs == 0
    monkeypatch.setattr("npbsrn.inference.ensemble.available_bytes", lambda: need)
    npbsrn.upscale(picture, 2, runner, ensemble=True)
    assert runner.runs == 8  # alpha is flat


PROGRAM = """
import numpy as np
from npbsrn.images.picture import Picture
from npbsrn.inference.ensemble import mean_of_turns
from tests.peak import grown
result = np.zeros((3000, 3000, 3), np.uint8)
def work():
    return mean_of_turns(lambda *_: Picture(result.copy()), Picture(np.zeros((1500, 1500, 3), np.uint8)), 2)
work()
print(grown(work) / result.nbytes)
"""


def test_eight_results_are_never_there_at_once():
    (results,) = measured(PROGRAM)  # the sum is as large as two, the picture and its turn as half a one
    assert results < 4
