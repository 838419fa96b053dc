"""Which files are taken, how many pixels they may have, and what becomes of them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from npbsrn.errors import PictureError
from npbsrn.images.fitting import fitted
from npbsrn.images.formats import OPENED, READ_ALONE, WRITTEN, format_of, is_read, is_written, target_suffix
from npbsrn.images.frames import read_frames
from npbsrn.images.opening import MAX_PIXELS
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving
from tests.images.files import chunk, png, ramp, tiff

MADE_BY_PILLOW = {
    ".jp2": "JPEG2000", ".j2k": "JPEG2000", ".jpx": "JPEG2000", ".tga": "TGA", ".dib": "DIB", ".pbm": "PPM",
    ".pnm": "PPM", ".pcx": "PCX", ".sgi": "SGI", ".rgb": "SGI", ".qoi": "QOI", ".mpo": "MPO",
}  # fmt: skip


@pytest.mark.parametrize("suffix", MADE_BY_PILLOW)
def test_other_formats_are_taken_and_become_png(suffix):
    assert is_read(suffix)
    assert is_read(suffix.upper())
    assert target_suffix(suffix) == ".png"
    file = io.BytesIO()
    samples = ramp((8, 10, 3), np.uint8)
    options = {"save_all": True, "append_images": [Image.fromarray(samples)]} if suffix == ".mpo" else {}
    Image.fromarray(samples).save(file, MADE_BY_PILLOW[suffix], **options)
    if suffix == ".mpo":
        with pytest.warns(UserWarning, match="holds several pictures"):
            again = read_picture(file.getvalue())
        assert len(read_frames(file.getvalue())) == 1  # the others are views of the same, or smaller
    else:
        again = read_picture(file.getvalue())
    assert np.abs(again.colour.astype(int) - samples).max() <= (
        0 if suffix not in (".jp2", ".j2k", ".jpx", ".mpo") else 60
    )


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITTEN if suffix != ".avif"])
def test_what_is_written_stays_of_its_kind(suffix):
    assert is_read(suffix)
    assert target_suffix(suffix) == suffix
    assert format_of(f"a{suffix}") is format_of(suffix) is format_of(suffix[1:]) is WRITTEN[suffix]


def test_the_rest_is_not_taken():
    for suffix in (".txt", ".eps", ".pdf", ".xbm", ".nef", ".psd", ""):
        assert not is_read(suffix)
        assert not is_written(suffix)
    assert not set(READ_ALONE) & set(WRITTEN)


def test_without_a_pillow_that_knows_avif_it_is_not_written(monkeypatch):
    monkeypatch.setattr("npbsrn.images.formats.features.check", lambda _: False)
    assert target_suffix(".avif") == ".png"
    with pytest.raises(PictureError, match=r"cannot write a\.avif: choose a suffix among"):
        format_of("a.avif")


def test_heic_is_read_with_its_package():
    heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[271] = "Maker"
    samples = ramp((32, 48, 3), np.uint8)
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(samples)).save(file, quality=100, exif=exif.tobytes())
    picture = read_picture(file.getvalue())
    assert is_read(".heic")
    assert np.abs(picture.colour.astype(int) - samples).max() < 40
    assert picture.tags.exif.entries[271].data == b"Maker\0"


def test_without_its_package_heic_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    monkeypatch.setattr("npbsrn.images.formats.find_spec", lambda _: None)
    assert not is_read(".heic")
    with pytest.raises(PictureError, match=r"HEIC picture, which needs one more package: pip install 'npbsrn\[heic\]'"):
        read_picture(b"\0\0\0\x18ftypheic" + bytes(100))


def huge(kind, width=40000, height=40000):
    """The header of a picture of 1.6 gigapixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    if kind == "png":
        return png(np.zeros((1, 1, 3)), 8, 2)[:8] + b"".join(
            chunk(*part) for part in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
        )
    if kind == "ppm":
        return b"P6 %d %d 255\n" % (width, height)
    if kind == "bmp":
        return b"BM" + struct.pack("<IIIIiiHHIIiiII", 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    data = bytearray(tiff(np.zeros((1, 1, 3), np.uint8 if kind == "tif" else np.uint16), photometric="rgb"))
    for tag in (256, 257, 278):
        at = (
            data.index(struct.pack("<HH", tag, 4))
            if struct.pack("<HH", tag, 4) in data
            else data.index(struct.pack("<HH", tag, 3))
        )
        struct.pack_into("<HHII", data, at, tag, 4, 1, width)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "ppm", "bmp", "tif", "16.tif"])
def test_a_huge_picture_is_refused_before_memory_is_taken(kind, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5)  # which is for other users of Pillow in this process
    with pytest.raises(PictureError, match=r"has 40000x40000 pixels, more than the 268435456 .*; give --max-pixels if"):
        read_picture(huge(kind))
    for allowed in (20, None):
        assert read_picture(png(ramp((4, 5, 3), np.uint8), 8, 2), max_pixels=allowed).width == 5
    with pytest.raises(PictureError, match="more than the 19"):
        read_picture(png(ramp((4, 5, 3), np.uint8), 8, 2), max_pixels=19)
    assert Image.MAX_IMAGE_PIXELS == 5
    assert MAX_PIXELS < 40000**2


@pytest.mark.parametrize("size", [1 << 20, 80 << 20])
def test_texts_of_any_size_do_not_matter(size):
    text = (b"zTXt", b"long\0\0" + zlib.compress(bytes(size), 1))
    tags = read_picture(png(ramp((4, 5, 3), np.uint8), 8, 2, text, text)).tags
    assert tags.texts == (text, text)


@pytest.mark.parametrize(("form", "side"), [("webp", 16383), ("jpg", 65500), ("gif", 65535)])
@pytest.mark.filterwarnings("ignore:.*GIF holds 256 colours")
def test_the_longest_side_is_known_before_the_work(form, side):
    wide, tall = (Picture(np.broadcast_to(np.uint8(0), shape)) for shape in ((1, side), (side, 1)))
    for picture in (wide, tall):
        assert fitted(picture, None, 1, Saving(format=form)).colour.size == side
        with pytest.raises(PictureError, match=f"holds {side} pixels a side, and this would be"):
            fitted(picture, None, 1 + 1 / side, Saving(format=form))


def test_every_format_that_is_opened_is_pillows():
    Image.init()
    assert set(OPENED) - {"HEIF", "MPO"} <= set(Image.OPEN)
