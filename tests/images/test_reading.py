import os

import numpy as np
import pytest
from PIL import Image

from npbsrn.errors import PictureError
from npbsrn.images.picture import Picture
from npbsrn.images.reading import from_pillow, read_picture, read_rgb
from npbsrn.images.samples import cast
from npbsrn.images.writing import write_picture
from tests.images.files import given_back, png, ramp, tiff

ORIENTATION = 274


@pytest.fixture
def colour(rng):
    return rng.integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize(
    ("mode", "channels", "alpha", "dtype"),
    [
        ("1", 1, False, np.uint8),
        ("L", 1, False, np.uint8),
        ("LA", 1, True, np.uint8),
        ("P", 3, False, np.uint8),
        ("RGB", 3, False, np.uint8),
        ("RGBA", 3, True, np.uint8),
        ("CMYK", 3, False, np.uint8),
        ("YCbCr", 3, False, np.uint8),
        ("HSV", 3, False, np.uint8),
        ("LAB", 3, False, np.uint8),
        ("I;16", 1, False, np.uint16),
        ("I", 1, False, np.uint16),
        ("F", 1, False, np.float32),
    ],
)
def test_every_mode_is_read(colour, mode, channels, alpha, dtype):
    image = Image.fromarray(colour)
    if mode == "LAB":
        image = Image.frombytes("LAB", image.size, image.tobytes())
    elif mode == "F":
        image = Image.fromarray(colour[:, :, 0] / np.float32(255))
    else:
        image = (image.convert("L") if mode[0] == "I" else image).convert(mode)
    picture = from_pillow(image)
    assert given_back(picture.colour).shape == (5, 7, channels)
    assert (picture.alpha is not None) == alpha
    assert picture.colour.dtype == dtype


@pytest.mark.parametrize("key", [0, 200])
def test_a_key_of_grey_becomes_alpha_of_grey(key):
    image = Image.fromarray(np.array([[0, 200, 17]], np.uint8))
    image.info["transparency"] = key
    picture = from_pillow(image)
    assert picture.colour.tolist() == [[0, 200, 17]]
    assert picture.alpha.tolist() == [[255 * (level != key) for level in (0, 200, 17)]]


@pytest.mark.parametrize("place", [0, 1, -1])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_key_is_a_sample_of_the_files_depth(tmp_path, depth, place):
    levels = np.arange(2**depth)[None] if depth < 16 else np.array([[0, 0x1234, 0x1235, 65535]])
    key = int(levels[0, place])
    (tmp_path / "key.png").write_bytes(png(levels, depth, 0, (b"tRNS", key.to_bytes(2, "big"))))
    picture = read_picture(tmp_path / "key.png")
    peak = 65535 if depth == 16 else 255
    np.testing.assert_array_equal(picture.colour, levels * peak // (2**depth - 1))
    np.testing.assert_array_equal(picture.alpha, np.where(levels == key, 0, peak))


def test_transparency_of_a_palette_becomes_alpha(colour):
    image = Image.fromarray(colour).convert("P")
    image.info["transparency"] = 0
    picture = from_pillow(image)
    np.testing.assert_array_equal(picture.alpha, np.where(np.asarray(image) == 0, 0, 255))


@pytest.mark.parametrize("colour_type", [0, 2, 4, 6])
def test_sixteen_bits_of_a_png_are_read(tmp_path, colour_type):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour_type]
    samples = ramp((9, 11, channels), np.uint16)
    (tmp_path / "deep.png").write_bytes(png(samples, 16, colour_type))
    picture = read_picture(tmp_path / "deep.png")
    np.testing.assert_array_equal(given_back(picture.samples()), samples)
    eight = cast(samples, np.uint8)[:, :, : 1 if channels < 3 else 3]
    np.testing.assert_array_equal(read_rgb(tmp_path / "deep.png"), np.broadcast_to(eight, (9, 11, 3)))


def test_a_key_of_deep_colours_becomes_alpha(tmp_path):
    samples = ramp((5, 6, 3), np.uint16)
    key = samples[2, 3]
    (tmp_path / "key.png").write_bytes(png(samples, 16, 2, (b"tRNS", key.astype(">u2").tobytes())))
    picture = read_picture(tmp_path / "key.png")
    np.testing.assert_array_equal(picture.alpha == 0, np.all(samples == key, axis=2))


@pytest.mark.parametrize("kind", ["rgb.png", "rgba.png", "rgb.tif"])
def test_without_the_extra_eight_bits_come_out_and_it_is_said(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("npbsrn.images.deep.available", lambda: False)
    samples = ramp((9, 11, 4 if kind == "rgba.png" else 3), np.uint16)
    data = tiff(samples, photometric="rgb") if kind == "rgb.tif" else png(samples, 16, 2 if kind == "rgb.png" else 6)
    (tmp_path / kind).write_bytes(data)
    with pytest.warns(UserWarning, match=r"more than 8 bits a channel, of which 8 come out; pip install"):
        picture = read_picture(tmp_path / kind)
    assert picture.colour.dtype == np.uint8
    assert np.abs(picture.samples() - samples / 257).max() < 1
    read_rgb(tmp_path / kind)  # 8 bits are what is asked for: no warning


def test_a_key_of_deep_colours_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("npbsrn.images.deep.available", lambda: False)
    samples = np.array([[[0x1234, 0x5678, 0x9ABC], [0, 0, 0]]], np.uint16)
    (tmp_path / "key.png").write_bytes(png(samples, 16, 2, (b"tRNS", samples[0, 0].astype(">u2").tobytes())))
    with pytest.warns(UserWarning, match="of which 8 come out"):
        assert read_picture(tmp_path / "key.png").alpha.tolist() == [[0, 255]]


@pytest.mark.parametrize("samples", [np.array([[-1, 5]]), np.array([[5, 70000]])])
def test_numbers_of_an_image_out_of_range_are_refused(samples):
    with pytest.raises(PictureError, match="bring them into 0"):
        from_pillow(Image.fromarray(samples.astype(np.int32)))


@pytest.mark.filterwarnings("error")
def test_warnings_that_are_errors_stay_warnings(tmp_path, colour):
    frames = [Image.fromarray(colour), Image.fromarray(255 - colour)]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    with pytest.raises(UserWarning, match="holds several pictures"):
        read_picture(tmp_path / "moving.png")


def test_only_the_first_frame_is_taken_and_said(tmp_path, colour):
    frames = [Image.fromarray(colour), Image.fromarray(255 - colour)]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="holds several pictures: only the first is taken"):
        np.testing.assert_array_equal(read_rgb(tmp_path / "moving.png"), colour)


def test_long_texts_do_not_matter(tmp_path, colour):
    import zlib

    text = (b"zTXt", b"long\0\0" + zlib.compress(bytes(1 << 22)))
    (tmp_path / "text.png").write_bytes(png(colour, 8, 2, text))
    np.testing.assert_array_equal(read_rgb(tmp_path / "text.png"), colour)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".tif"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # turn by 90 degrees
    colour = ramp((40, 56, 3), np.uint8)
    Image.fromarray(colour).save(tmp_path / f"turned{suffix}", exif=exif)
    assert np.abs(read_rgb(tmp_path / f"turned{suffix}").astype(int) - np.rot90(colour, -1)).max() < 12


def test_the_orientation_that_imagemagick_keeps_in_a_text_is_applied(tmp_path, colour):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    text = b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(data), data.hex().encode())
    (tmp_path / "a.png").write_bytes(png(colour, 8, 2, (b"tEXt", text)))
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.rot90(colour, -1))


def test_deep_colours_that_pillow_shortens_are_said(tmp_path):
    import imagecodecs

    samples = ramp((40, 50, 3), np.uint16)
    (tmp_path / "a.jp2").write_bytes(imagecodecs.jpeg2k_encode(samples, level=0))
    height, width, _ = samples.shape
    header = b"\x01\xda\0\2" + b"".join(v.to_bytes(2, "big") for v in (3, width, height, 3)) + bytes(500)
    (tmp_path / "a.sgi").write_bytes(header + samples[::-1].transpose(2, 0, 1).astype(">u2").tobytes())
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(samples >> 6, bitspersample=10, level=99))
    for name in ("a.jp2", "a.sgi", "a.avif"):
        with pytest.warns(UserWarning, match="of which 8 come out; convert it to PNG or TIFF to keep more"):
            assert read_picture(tmp_path / name).colour.shape == samples.shape
        assert read_rgb(tmp_path / name).shape == samples.shape
    Image.new("RGB", (20, 10)).save(tmp_path / "shallow.jp2")
    Image.new("RGB", (20, 10)).save(tmp_path / "shallow.avif")
    assert read_picture(tmp_path / "shallow.jp2").colour.shape == (10, 20, 3)
    assert read_picture(tmp_path / "shallow.avif").colour.shape == (10, 20, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(PictureError, match=r"is a pipe or device; name a picture file"):
        read_picture(tmp_path / "a.png")


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(PictureError, match="is empty; get a good copy"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".xbm", ".eps"])
def test_kinds_that_cannot_be_trusted_are_refused(tmp_path, suffix):
    Image.new("1" if suffix == ".xbm" else "L", (8, 8)).save(tmp_path / f"a{suffix}")
    with pytest.raises(PictureError, match="is not a picture that can be read; known formats are"):
        read_picture(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("place", ["IHDR", "IDAT"])
def test_a_png_whose_sum_is_wrong_is_damaged(tmp_path, colour, place):
    whole = bytearray(png(colour, 8, 2))
    at = whole.index(place.encode())
    whole[at + 14] ^= 1
    (tmp_path / "a.png").write_bytes(whole)
    with pytest.raises(PictureError, match=f"damaged .the sum of its {place} is wrong."):
        read_picture(tmp_path / "a.png")


@pytest.mark.filterwarnings("ignore")  # Pillow warns before it fails
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif", ".ppm", "16.png", "16.tif"])
def test_every_truncation_is_refused_or_read(tmp_path, rng, suffix):
    """Some decoders forgive a missing tail; none may let another error through."""
    path = tmp_path / f"picture{suffix}"
    dtype = np.uint16 if suffix.startswith("16") else np.uint8
    write_picture(Picture(rng.integers(0, 256, (40, 40, 3)).astype(dtype)), path)
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        try:
            read_rgb(path)
        except PictureError:
            refused += 1
    assert refused > 20
