"""What a file's header says of its samples is what decoding it gives."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from npbsrn.images import deep, opening
from npbsrn.images.layout import Layout, layout_at, layout_of
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.writing import encode_picture
from tests.images.files import ramp, tiff


def decoded(source):
    """By decoding; of alpha, colour may flow under it in any case."""
    found = layout_of(read_picture(source))
    return Layout(found.width, found.height, found.itemsize, found.grey, found.alpha, found.alpha)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "ppm", "bmp"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_of_8_bits(suffix, channels):
    samples = ramp((5, 7, channels), np.uint8)
    alpha = samples[:, :, -1] // 2 if channels in (2, 4) and suffix in ("png", "webp", "tif") else None
    data = encode_picture(Picture(samples[:, :, 0] if channels < 3 else samples[:, :, :3], alpha), suffix)
    assert layout_at(data) == decoded(data)


@pytest.mark.skipif(not deep.available(), reason="needs the extra deep")
@pytest.mark.parametrize("dtype", [np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_of_more_bits(dtype, shape):
    samples = ramp(shape, np.float32).astype(dtype) if dtype == np.float16 else ramp(shape, dtype)
    files = [tiff(samples, photometric="rgb" if len(shape) == 3 else "minisblack")]
    files += [encode_picture(Picture(samples), "png")] if dtype == np.uint16 else []
    for data in files:
        assert layout_at(data) == decoded(data)


def test_of_a_palette_with_transparency():
    image = Image.new("P", (6, 5), 1)
    image.putpalette([9, 9, 9, 200, 100, 50])
    file = io.BytesIO()
    image.save(file, "PNG", transparency=1)
    assert layout_at(file.getvalue()) == decoded(file.getvalue()) == Layout(6, 5, 1, False, True, True)


def test_of_what_is_no_picture(tmp_path):
    assert layout_at(b"") is None
    assert layout_at(b"no picture") is None
    assert layout_at(tmp_path / "missing.png") is None
    assert layout_at(tmp_path) is None


def test_of_what_does_not_fit_into_memory(monkeypatch):
    data = encode_picture(Picture(ramp((5, 7, 3), np.uint8)), "png")
    monkeypatch.setattr(opening, "SMALL", 1)
    monkeypatch.setattr(opening, "available_bytes", lambda: 0)
    assert layout_at(data) == Layout(7, 5, 1, False, False, False)


def test_no_filter_of_warnings_is_changed_which_is_that_of_all_threads(monkeypatch):
    data = encode_picture(Picture(ramp((5, 7, 3), np.uint8)), "jpg")
    monkeypatch.setattr(warnings, "catch_warnings", None)
    assert layout_at(data) == Layout(7, 5, 1, False, False, False)
