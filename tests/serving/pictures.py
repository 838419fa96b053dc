"""Files of tiny pictures, as a page sends them."""

import io

import numpy as np
import pytest
from PIL import Image

from npbsrn.images import deep
from tests.images.files import png, ramp, tiff

NEEDS_DEEP = pytest.mark.skipif(not deep.available(), reason="needs the extra deep")


def encoded(form, mode="RGB", width=9, **options):
    channels = {"RGB": 3, "RGBA": 4}.get(mode)
    file = io.BytesIO()
    shape = (6, width, channels) if channels else (6, width)
    Image.fromarray(ramp(shape, np.uint8, 0.1, 0.9)).save(file, form, **options)
    return file.getvalue()


def photograph():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6  # maker, orientation
    return encoded("JPEG", quality=90, exif=exif, dpi=(300, 300))


def moving():
    frames = [Image.fromarray(ramp((6, 9, 3), np.uint8, 0, top)) for top in (0.3, 0.6, 0.9)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], duration=[100, 200, 300], lossless=True)
    return file.getvalue()


PICTURES = {
    "plain.png": lambda: encoded("PNG"),
    "photograph.JPG": photograph,
    "transparent.png": lambda: encoded("PNG", "RGBA"),
    "transparent.jpg": lambda: encoded("PNG", "RGBA"),  # whose result is a JPEG, over white
    "grey.pgm": lambda: encoded("PPM", "L"),
    "moving.webp": moving,
    "no suffix": lambda: encoded("PNG"),
    "old.qoi": lambda: encoded("QOI"),  # which is not written
}
DEEP = {
    "deep.png": lambda: png(ramp((6, 9, 3), np.uint16), 16, 2),
    "floats.tiff": lambda: tiff(ramp((6, 9, 3), np.float32), photometric="rgb"),
}
