import numpy as np
import pytest
from PIL import Image

from npbsrn.errors import PictureError
from npbsrn.pictures import FORMATS, check_output, from_pillow, open_picture, read_rgb, to_pillow, write_picture


@pytest.fixture
def colour(rng):
    return rng.integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_written_and_read(tmp_path, colour, suffix):
    path = tmp_path / f"picture{suffix}"
    write_picture(Image.fromarray(colour), path)
    again = read_rgb(path)
    assert again.shape == colour.shape
    assert again.dtype == np.uint8
    if suffix not in (".jpg", ".jpeg", ".webp"):
        np.testing.assert_array_equal(again, colour)


@pytest.mark.parametrize(
    ("mode", "shape", "dtype"),
    [
        ("1", (5, 7), np.uint8),
        ("L", (5, 7), np.uint8),
        ("LA", (5, 7, 4), np.uint8),
        ("P", (5, 7, 3), np.uint8),
        ("RGB", (5, 7, 3), np.uint8),
        ("RGBA", (5, 7, 4), np.uint8),
        ("CMYK", (5, 7, 3), np.uint8),
        ("YCbCr", (5, 7, 3), np.uint8),
        ("HSV", (5, 7, 3), np.uint8),
        ("I;16", (5, 7), np.uint16),
        ("I", (5, 7), np.uint16),
    ],
)
def test_every_mode_becomes_an_array_and_a_picture_again(colour, mode, shape, dtype):
    image = Image.fromarray(colour).convert("L") if mode in ("I;16", "I") else Image.fromarray(colour)
    image = image.convert(mode)
    array = from_pillow(image)
    assert array.shape == shape
    assert array.dtype == dtype
    assert to_pillow(array, image).mode == {
        "1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "I": "I;16",
    }.get(mode, mode)  # fmt: skip


def test_transparency_of_a_palette_becomes_alpha(colour):
    image = Image.fromarray(colour).convert("P")
    image.info["transparency"] = 0
    assert from_pillow(image).shape == (5, 7, 4)


def test_sixteen_bits_survive(tmp_path, rng):
    deep = rng.integers(0, 65536, (5, 7), np.uint16)
    write_picture(Image.fromarray(deep), tmp_path / "deep.png")
    np.testing.assert_array_equal(from_pillow(open_picture(tmp_path / "deep.png")), deep)
    np.testing.assert_array_equal(read_rgb(tmp_path / "deep.png")[:, :, 1], np.round(deep / 257).astype(np.uint8))


def test_only_the_first_frame_is_taken_and_said(tmp_path, colour):
    frames = [Image.fromarray(colour), Image.fromarray(255 - colour)]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    with pytest.warns(UserWarning, match="holds several pictures: only the first is taken"):
        np.testing.assert_array_equal(read_rgb(tmp_path / "moving.png"), colour)


def test_float_pictures_are_refused():
    with pytest.raises(PictureError, match=r"scale to 0\.\.1"):
        from_pillow(Image.fromarray(np.zeros((2, 2), np.float32)))


def test_exif_orientation_is_applied(tmp_path, colour):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(colour).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "turned.png"), np.rot90(colour, -1))


def test_the_colour_profile_is_kept(tmp_path, colour):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = Image.fromarray(colour)
    image.info["icc_profile"] = profile
    write_picture(to_pillow(colour, image), tmp_path / "p.png")
    assert open_picture(tmp_path / "p.png").info["icc_profile"] == profile


@pytest.mark.filterwarnings("ignore")  # Pillow warns before it fails
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp", ".tif", ".ppm"])
def test_every_truncation_is_refused_or_read(tmp_path, rng, suffix):
    """Some decoders forgive a missing tail; none may let another error through."""
    path = tmp_path / f"picture{suffix}"
    write_picture(Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)), path)
    whole = path.read_bytes()
    refused = 0
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:length])
        try:
            read_rgb(path)
        except PictureError:
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("out.xyz", "RGB", "choose a suffix among .png"),
        ("missing/out.png", "RGB", "there is no folder .*missing; make it first"),
        ("folder.png", "RGB", "it is a folder; name a file"),
        ("out.jpg", "RGBA", "JPEG holds no transparency"),
        ("out.bmp", "I;16", "BMP holds no 16-bit grey"),
    ],
)
def test_outputs_that_cannot_be_are_refused_early(tmp_path, name, mode, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PictureError, match=message):
        check_output(tmp_path / name, Image.new(mode, (2, 2)))


def test_a_full_disk_leaves_no_half_picture(tmp_path, colour, monkeypatch):
    def full(self, file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PictureError, match="No space left on device; nothing was left behind"):
        write_picture(Image.fromarray(colour), tmp_path / "out.png")
    assert not list(tmp_path.iterdir())
