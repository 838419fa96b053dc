import numpy as np
import pytest
from hypothesis import given
from PIL import Image

import npbsrn
from npbsrn.errors import UsageError
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.resize import resize
from npbsrn.images.writing import write_picture
from tests.images.files import ramp
from tests.strategies import pictures


@given(picture=pictures())
def test_any_size_and_kind(tiny_model, picture):
    result = npbsrn.upscale(picture, 4, tiny_model)
    assert result.dtype == np.uint8
    assert result.shape == (picture.shape[0] * 4, picture.shape[1] * 4, *picture.shape[2:])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(picture=pictures(max_side=6))
def test_floats_agree_with_eight_bits(tiny_model, dtype, picture):
    result = npbsrn.upscale((picture / 255).astype(dtype), 4, tiny_model)
    assert result.dtype == dtype
    assert result.min() >= 0
    assert result.max() <= 1
    if dtype != np.float16:  # whose inputs are rounded
        assert np.abs(result * 255 - npbsrn.upscale(picture, 4, tiny_model)).max() <= 0.501


def test_paths_pillow_images_and_arrays_agree(tmp_path, tiny_model, rng):
    picture = rng.integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(picture)
    image.save(tmp_path / "a.png")
    result = npbsrn.upscale(picture, 4, tiny_model)
    for form in (image, tmp_path / "a.png", str(tmp_path / "a.png")):
        enlarged = npbsrn.upscale(form, 4, tiny_model)
        assert isinstance(enlarged, Image.Image)
        np.testing.assert_array_equal(np.asarray(enlarged), result)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pillow_modes_come_back(tiny_model, mode):
    image = Image.new("L", (6, 5), 100).convert(mode)
    enlarged = npbsrn.upscale(image, 4, tiny_model)
    assert enlarged.mode == mode
    assert enlarged.size == (24, 20)


def test_alpha_is_enlarged_and_leaves_the_colours_alone(tiny_model, rng):
    picture = rng.integers(0, 256, (5, 7, 4), np.uint8)
    picture[:, :, 3] = 200
    result = npbsrn.upscale(picture, 4, tiny_model)
    np.testing.assert_array_equal(result[:, :, :3], npbsrn.upscale(picture[:, :, :3], 4, tiny_model))
    assert np.all(result[:, :, 3] == 200)


def test_sixteen_bits_are_finer_than_eight(tiny_model):
    ramp = np.linspace(0, 65535, 12 * 9).reshape(9, 12).astype(np.uint16)
    result = npbsrn.upscale(ramp, 4, "bicubic")
    assert result.dtype == np.uint16
    assert len(np.unique(result)) > 256


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_has_every_scale(scale):
    assert npbsrn.upscale(np.zeros((1, 1), np.uint8), scale, "bicubic").shape == (scale, scale)
    assert npbsrn.upscale(np.zeros((1, 1, 1), np.uint8), scale, "bicubic").shape == (scale, scale, 1)


def test_the_input_is_left_alone(tiny_model, rng):
    picture = rng.random((5, 7, 3))
    before = picture.copy()
    npbsrn.upscale(picture, 4, tiny_model)
    np.testing.assert_array_equal(picture, before)


def test_views_of_any_stride_are_fine(tiny_model, rng):
    picture = rng.integers(0, 256, (12, 14, 3), np.uint8)
    view = picture[::2, ::-1]
    np.testing.assert_array_equal(
        npbsrn.upscale(view, 4, tiny_model), npbsrn.upscale(np.ascontiguousarray(view), 4, tiny_model)
    )


ORANGE = np.array([255, 140, 0], np.uint8)


def disc(under, side=40):
    """An orange disc with a soft edge; what is `under` its transparent pixels is not to be seen."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    alpha = np.rint(255 * np.clip(side / 3 - np.hypot(y, x) + 0.5, 0, 1)).astype(np.uint8)
    return np.dstack([np.where(alpha[:, :, None] > 0, ORANGE, np.uint8(under)), alpha])


def over(picture, ground):
    """Composited on a ground of one level."""
    share = picture[:, :, 3:] / 255
    return picture[:, :, :3] * share + ground * (1 - share)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("under", [0, 255])
@pytest.mark.parametrize("ground", [0, 255])
def test_transparent_pixels_make_no_fringe(scale, under, ground):
    """On white and on black the disc looks as one that never was transparent, but for how alpha is enlarged."""
    result = npbsrn.upscale(disc(under), scale)
    shade = np.dstack([np.broadcast_to(ORANGE, (*result.shape[:2], 3)), result[:, :, 3]])
    assert np.abs(over(result, ground) - over(shade, ground)).max() <= 2
    np.testing.assert_array_equal(result, npbsrn.upscale(disc(255 - under), scale))


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_alpha_is_enlarged_by_the_network_and_stays_flat_where_it_is(scale):
    large = disc(0, 40 * scale)[:, :, 3]
    small = resize(large, 1 / scale)
    picture = np.dstack([np.zeros((40, 40, 3), np.uint8), small])
    ours, bicubic = (npbsrn.upscale(picture, scale, model)[:, :, 3].astype(float) for model in (None, "bicubic"))
    assert np.mean((ours - large) ** 2) < 0.7 * np.mean((bicubic - large) ** 2)
    corner = ours[: 4 * scale, : 4 * scale], ours[18 * scale : 22 * scale, 18 * scale : 22 * scale]
    assert [set(part.ravel()) for part in corner] == [{0}, {255}]


def test_the_colours_of_an_opaque_picture_do_not_depend_on_alpha(tiny_model, rng):
    picture = rng.integers(0, 256, (9, 11, 3), np.uint8)
    clear = np.dstack([picture, np.full((9, 11), 255, np.uint8)])
    result = npbsrn.upscale(clear, 4, tiny_model)
    np.testing.assert_array_equal(result[:, :, :3], npbsrn.upscale(picture, 4, tiny_model))
    assert np.all(result[:, :, 3] == 255)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_file_keeps_its_depth(tmp_path, tiny_model, suffix, channels):
    samples = ramp((9, 11, channels), np.uint16)
    picture = Picture(samples[:, :, :3], samples[:, :, 3] if channels == 4 else None)
    write_picture(picture, tmp_path / f"in{suffix}")
    out = tmp_path / f"out{suffix}"
    assert npbsrn.upscale_file(tmp_path / f"in{suffix}", out, 4, tiny_model) == (44, 36)
    np.testing.assert_array_equal(read_picture(out).samples(), npbsrn.upscale(samples, 4, tiny_model))
    with pytest.warns(UserWarning, match="a Pillow image holds 8 bits a channel instead of more"):
        small = npbsrn.upscale(tmp_path / f"in{suffix}", 4, tiny_model)
    assert np.abs(np.asarray(small) * 257.0 - read_picture(out).samples()).max() <= 129


def test_a_file_is_replaced_only_if_told_and_never_the_source(tmp_path):
    write_picture(Picture(np.zeros((3, 4, 3), np.uint8)), tmp_path / "a.png")
    (tmp_path / "b.png").write_text("mine")
    with pytest.raises(UsageError, match=r"b\.png exists already and is left alone"):
        npbsrn.upscale_file(tmp_path / "a.png", tmp_path / "b.png", 2, "bicubic")
    assert (tmp_path / "b.png").read_text() == "mine"
    with pytest.raises(UsageError, match="is the input itself"):
        npbsrn.upscale_file(tmp_path / "a.png", tmp_path / "a.png", 2, "bicubic", overwrite=True)
    assert npbsrn.upscale_file(tmp_path / "a.png", tmp_path / "b.png", 2, "bicubic", overwrite=True) == (8, 6)
