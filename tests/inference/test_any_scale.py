import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import npbsrn
from npbsrn.errors import TooLargeError, UsageError
from npbsrn.images.resample import enlarged_side, resize_to
from npbsrn.inference.any_scale import Composed, compose, runner_for
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic
from npbsrn.models import Model, save_model
from npbsrn.networks.base import make_network

ALL = (2, 3, 4)


@pytest.fixture
def double():
    """An untrained BBCU x2, which keeps flat colour."""
    network = make_network({"name": "bbcu", "scale": 2, "blocks": 1, "width": 4, "flat": True})
    return Model(network, network.init(5))


@pytest.mark.parametrize(
    ("scale", "own", "factors"),
    [
        (2, ALL, (2,)), (1.01, ALL, (2,)), (2.5, ALL, (3,)), (3, (2, 4), (4,)), (4, ALL, (4,)), (3, (2,), (2,)),
        (5, ALL, (4,)), (7.9, ALL, (4,)), (8, ALL, (4, 2)), (9, ALL, (4, 2)), (12, ALL, (4, 3)), (16, ALL, (4, 4)),
        (8, (4,), (4,)), (16, (4,), (4, 4)), (16, (2, 4), (4, 4)), (16, (2,), (2, 2, 2, 2)), (5, (2,), (2, 2)),
    ],
)  # fmt: skip
def test_compose(scale, own, factors):
    assert compose(scale, own) == factors


@given(st.floats(1, 16, exclude_min=True), st.lists(st.integers(2, 4), min_size=1, unique=True))
def test_networks_leave_less_to_resizing_than_the_next_would(scale, own):
    factors = compose(scale, own)
    product = np.prod(factors)
    assert set(factors) <= set(own)
    assert len(factors) == 1 or product <= scale
    assert product * min(own) > scale


@pytest.mark.parametrize(
    ("model", "scale", "words"),
    [
        ("clean", 5, "x5: x4 by clean, then resized by 1.25"),
        ("clean", 8, "x8: x4, then x2 by clean"),
        ("clean", 1.5, "x1.5: x2 by clean, then reduced to 0.75"),
        ("photo", 3, "x3: x4 by photo, then reduced to 0.75"),
        ("fast", 2, "x2: x4 by fast, then reduced to 0.5"),
        (None, 10, "x10: x4, then x2 by clean, then resized by 1.25"),
    ],
)
def test_what_is_done_is_said(model, scale, words):
    runner = runner_for(model, scale)
    assert isinstance(runner, Composed)
    assert str(runner) == words


def test_a_model_has_its_own_scale_by_default(double, tmp_path):
    save_model(tmp_path / "double.npz", double)
    assert runner_for(double).scale == runner_for(tmp_path / "double.npz").scale == 2
    assert runner_for(None).scale == runner_for("photo").scale == runner_for("bicubic").scale == 4
    assert runner_for(Bicubic(1.5)).scale == 1.5
    assert runner_for("clean", 3.0) is choose_runner("clean", 3)
    assert npbsrn.upscale(np.zeros((3, 2), np.uint8), model=double).shape == (6, 4)


@pytest.mark.parametrize("scale", [1, 0.5, 16.1, -2, np.nan, np.inf, "2", True])
def test_scales_out_of_range_are_refused(scale):
    with pytest.raises(UsageError, match="the scale must be a number above 1 and at most 16"):
        runner_for("bicubic", scale)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("scale", [1.3, 3, 5.5])
def test_the_steps_are_networks_and_a_resize(double, rng, dtype, scale):
    peak = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    picture = (rng.random((9, 7, 3)) * peak).astype(dtype)
    expected = picture
    for _ in compose(scale, [2]):
        expected = npbsrn.upscale(expected, 2, double)
    expected = resize_to(expected, enlarged_side(9, scale), enlarged_side(7, scale))
    np.testing.assert_array_equal(npbsrn.upscale(picture, scale, double), expected)


@pytest.mark.parametrize("scale", [1.2, 2.5, 7])
def test_grey_alpha_and_files_go_the_same_way(double, rng, scale, tmp_path):
    size = enlarged_side(9, scale), enlarged_side(8, scale)
    picture = rng.integers(0, 256, (9, 8, 4), np.uint8)
    picture[:4, :, 3], picture[6:, :, 3] = 0, 255
    result = npbsrn.upscale(picture, scale, double)
    assert result.shape == (*size, 4)
    assert not result[: int(2.5 * scale), :, 3].any()  # what is clear stays so, and what is opaque
    assert np.all(result[-int(1.5 * scale) :, :, 3] == 255)
    grey = npbsrn.upscale(picture[:, :, 0].astype(np.uint16) * 257, scale, double)
    assert (grey.shape, grey.dtype) == (size, np.uint16)
    opaque = np.dstack([picture[:, :, :3], np.full((9, 8), 9, np.uint8)])
    assert np.all(npbsrn.upscale(opaque, scale, double)[:, :, 3] == 9)
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert npbsrn.upscale_file(tmp_path / "a.png", tmp_path / "b.png", scale, double) == size[::-1]
    with Image.open(tmp_path / "b.png") as image:
        np.testing.assert_array_equal(np.asarray(image), result)


@pytest.mark.parametrize("scale", [1.5, 3, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_flat_colour_stays(double, scale, dtype):
    picture = np.broadcast_to(np.array([7, 130, 250], dtype), (12, 10, 3)).copy()
    result = npbsrn.upscale(picture, scale, double)
    np.testing.assert_array_equal(result, np.broadcast_to(picture[0, 0], result.shape))


@pytest.mark.parametrize("scale", [1.4, 2.5])
def test_an_ensemble_turns_with_the_picture(double, rng, scale):
    picture = rng.integers(0, 256, (6, 9, 3), np.uint8)
    result = npbsrn.upscale(picture, scale, double, ensemble=True)
    turned = npbsrn.upscale(np.rot90(picture).copy(), scale, double, ensemble=True)
    np.testing.assert_array_equal(turned, np.rot90(result))


def test_bicubic_of_any_scale_is_one_resize(rng):
    picture = rng.integers(0, 256, (9, 7, 3), np.uint8)
    np.testing.assert_array_equal(npbsrn.upscale(picture, 5.5, "bicubic"), resize_to(picture, 50, 39))


@pytest.mark.parametrize("scale", [1.5, 3, 5])
def test_tiles_and_threads_do_not_matter(double, rng, scale):
    picture = rng.integers(0, 256, (70, 50, 3), np.uint8)
    results = [npbsrn.upscale(picture, scale, double, tile=tile, threads=n) for tile, n in (("auto", 1), (16, 2))]
    np.testing.assert_array_equal(*results)


def test_too_little_memory_is_said_before_the_work(double, monkeypatch):
    monkeypatch.setattr("npbsrn.inference.any_scale.available_bytes", lambda: 1000)
    with (
        warnings.catch_warnings(),
        pytest.raises(TooLargeError, match=r"20x20 pixels need more than 0.00 GB of memory at x5, and 0.00 GB are"),
    ):
        npbsrn.upscale(np.zeros((20, 20, 3), np.uint8), 5, double)
