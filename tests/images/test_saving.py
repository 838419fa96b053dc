"""Quality, background, and formats that are asked for."""

import io

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from npbsrn.errors import PictureError
from npbsrn.images.alpha import over
from npbsrn.images.fitting import fitted
from npbsrn.images.picture import Picture, Tags
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import WHITE, Saving, provenance
from npbsrn.images.writing import encode_picture, write_picture
from tests.images.files import profile, ramp

COLOURFUL = Picture(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))


def jpeg_of(saving):
    return Image.open(io.BytesIO(encode_picture(COLOURFUL, "jpg", saving)))


@pytest.mark.parametrize(
    ("quality", "expected", "colours"), [(None, 95, 0), (100, 100, 0), (90, 90, 0), (89, 89, 2), (5, 5, 2)]
)
def test_a_jpeg_has_the_quality_that_is_asked_for(quality, expected, colours):
    """95 by default. Colours have all pixels from 90 on, and else every second, as ImageMagick has it."""
    image = jpeg_of(Saving(quality=quality))
    theirs = io.BytesIO()
    Image.fromarray(COLOURFUL.colour).save(theirs, "JPEG", quality=expected)
    assert image.quantization == Image.open(theirs).quantization
    assert JpegImagePlugin.get_sampling(image) == colours


@pytest.mark.parametrize("form", ["webp", "avif"])
def test_less_quality_takes_less_space(form):
    sizes = [len(encode_picture(COLOURFUL, form, Saving(quality=quality))) for quality in (10, 60, None)]
    assert sizes == sorted(sizes)
    assert sizes[2] == len(encode_picture(COLOURFUL, form, Saving(quality=95)))


def test_a_lossless_webp_is_lossy_only_if_a_quality_is_asked_for():
    picture = Picture(COLOURFUL.colour, None, Tags(lossless=True))
    np.testing.assert_array_equal(read_picture(encode_picture(picture, "webp")).colour, picture.colour)
    assert not read_picture(encode_picture(picture, "webp", Saving(quality=95))).tags.lossless


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("background", [WHITE, (0, 0, 0), (255, 128, 0)])
def test_transparency_is_laid_over_the_background(dtype, grey, background):
    samples = ramp((9, 11, 4), dtype)
    peak = 1 if dtype == np.float32 else np.iinfo(dtype).max
    picture = Picture(
        samples[:, :, 0] if grey else samples[:, :, :3], samples[:, :, 3], Tags(icc=profile(b"GRAY"), dpi=(9, 9))
    )
    laid = over(picture, background)
    alpha = samples[:, :, 3:] / peak
    colour = np.repeat(samples[:, :, :1], 3, axis=2) if grey else samples[:, :, :3]
    exact = colour * alpha + np.array(background) / 255 * peak * (1 - alpha)
    assert laid.alpha is None
    assert laid.colour.dtype == dtype
    assert laid.grey == (grey and background != (255, 128, 0))
    assert (laid.tags.icc is None) == (grey and not laid.grey)
    assert np.abs(laid.colour.reshape(9, 11, -1) - exact).max() <= (0.51 if peak > 1 else 1e-6)


@pytest.mark.parametrize("form", ["jpg", "bmp", "ppm"])
def test_formats_without_transparency_get_the_background_or_refuse(form):
    clear = Picture(COLOURFUL.colour, np.zeros((32, 32), np.uint8))
    with pytest.raises(PictureError, match=r"holds no transparency; write a \.png or \.webp, or name a background"):
        fitted(clear, None, 4, Saving(format=form))
    assert np.all(fitted(clear, None, 4, Saving(format=form, background=(1, 2, 3))).colour == (1, 2, 3))
    assert fitted(clear, None, 4, Saving(format="png", background=WHITE)).alpha is not None


def test_the_format_that_is_asked_for_goes_before_the_suffix(tmp_path):
    saving = Saving(format="jpg")
    write_picture(fitted(COLOURFUL, tmp_path / "a.png", 1, saving), tmp_path / "a.png", saving=saving)
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "JPEG"
    with pytest.raises(PictureError, match="a format is needed where there is no file name"):
        fitted(COLOURFUL, None)
    with pytest.raises(PictureError, match="cannot write xyz: choose a suffix among"):
        encode_picture(COLOURFUL, "xyz")


def test_what_is_encoded_is_what_is_written(tmp_path):
    for form in ("png", "jpg", "webp", "tif", "bmp", "ppm", "gif"):
        write_picture(COLOURFUL, tmp_path / f"a.{form}")
        assert (tmp_path / f"a.{form}").read_bytes() == encode_picture(COLOURFUL, form)


def test_how_a_picture_came_about_leaves_out_what_is_not_known():
    assert provenance("1.2", "bicubic", 1.5) == {"Software": "npbsrn 1.2", "model": "bicubic", "scale": "1.5"}
