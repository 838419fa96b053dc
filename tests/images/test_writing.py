import io
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from npbsrn.errors import ExistsError, PictureError
from npbsrn.images.fitting import fitted
from npbsrn.images.formats import DATA_FORMATS, JPEG, WEBP
from npbsrn.images.picture import Picture, Tags
from npbsrn.images.reading import from_pillow, read_picture, read_rgb
from npbsrn.images.samples import cast
from npbsrn.images.writing import encode_picture, to_pillow, write_picture
from tests.images.files import iccp, png, profile, ramp

GAMMA_1 = (b"gAMA", (100000).to_bytes(4, "big"))
PQ = (b"cICP", bytes([9, 16, 0, 1]))


def copied(source, target):
    """A file written as another one's picture is read."""
    write_picture(fitted(read_picture(source), target), target)
    return read_picture(target)


@pytest.mark.parametrize("suffix", DATA_FORMATS)
def test_every_format_is_written_and_read(tmp_path, suffix):
    picture = Picture(ramp((40, 36, 3), np.uint8)[:, :, 1] if suffix == ".pgm" else ramp((40, 36, 3), np.uint8))
    path = tmp_path / f"picture{suffix}"
    write_picture(fitted(picture, path), path)
    again = read_picture(path).colour
    assert np.abs(again.astype(int) - picture.colour).max() <= (12 if DATA_FORMATS[suffix] in (JPEG, WEBP) else 0)


def test_a_gif_has_alpha_of_whole_pixels():
    alpha = np.array([[0, 127, 128, 255]], np.uint8)
    picture = Picture(np.full((1, 4, 3), 9, np.uint8), alpha)
    assert read_picture(encode_picture(picture, "gif")).alpha.tolist() == [[0, 0, 255, 255]]


def test_an_avif_has_alpha():
    alpha = np.repeat(np.array([[0, 255]], np.uint8), 16, axis=1).repeat(32, axis=0)
    again = read_picture(encode_picture(Picture(ramp((32, 32, 3), np.uint8), alpha), "avif"))
    assert np.abs(again.alpha.astype(int) - alpha).max() < 9


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("grey", [False, True])
def test_alpha_is_written_and_read(tmp_path, suffix, grey):
    samples = ramp((8, 9, 4), np.uint8)
    picture = Picture(samples[:, :, 0] if grey else samples[:, :, :3], samples[:, :, 3], Tags(lossless=True))
    write_picture(fitted(picture, tmp_path / f"a{suffix}"), tmp_path / f"a{suffix}")
    again = read_picture(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.alpha, picture.alpha)
    assert again.grey == (grey and suffix != ".webp")  # which has no grey
    np.testing.assert_array_equal(again.colour[..., 0] if not again.grey else again.colour, samples[:, :, 0])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_depth_is_kept(tmp_path, suffix, channels, dtype):
    samples = ramp((8, 9, channels), dtype)
    colour = samples[:, :, 0] if channels < 3 else samples[:, :, :3]
    picture = Picture(colour, samples[:, :, -1] if channels in (2, 4) else None, Tags(dpi=(300, 300)))
    path = tmp_path / f"a{suffix}"
    write_picture(fitted(picture, path), path)
    again = read_picture(path)
    expected = cast(samples, np.uint16) if suffix == ".png" else samples  # which has no floats
    np.testing.assert_array_equal(again.samples().reshape(samples.shape), expected)
    assert again.colour.dtype == expected.dtype
    assert again.tags.dpi == pytest.approx((300, 300), abs=0.1)


def test_without_the_extra_a_deep_result_has_eight_bits_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("npbsrn.images.deep.available", lambda: False)
    picture = Picture(ramp((8, 9, 3), np.uint16))
    with pytest.warns(UserWarning, match=r"8 bits a channel instead of more; pip install .npbsrn\[deep\]. keeps all"):
        assert fitted(picture, tmp_path / "a.png").colour.dtype == np.uint8
    grey = Picture(ramp((8, 9), np.uint16))
    assert fitted(grey, tmp_path / "a.png").colour is grey.colour  # which Pillow writes


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".ppm"])
def test_formats_of_eight_bits_get_eight_and_it_is_said(tmp_path, suffix):
    picture = Picture(ramp((8, 9, 3), np.uint16))
    with pytest.warns(UserWarning, match=r"gets 8 bits a channel instead of more; write a .png or .tif to keep all"):
        small = fitted(picture, tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(small.colour, np.floor(picture.colour / 257 + 0.5))


@pytest.mark.parametrize(
    ("name", "picture", "message"),
    [
        ("out.xyz", Picture(ramp((2, 2, 3), np.uint8)), "choose a suffix among .png"),
        ("missing/out.png", Picture(ramp((2, 2, 3), np.uint8)), "there is no folder .*missing; make it first"),
        ("folder.png", Picture(ramp((2, 2, 3), np.uint8)), "it is a folder; name a file"),
        ("out.jpg", Picture(ramp((2, 2), np.uint8), ramp((2, 2), np.uint8)), "JPEG holds no transparency"),
        (
            "out.webp",
            Picture(np.zeros((2, 4096), np.uint8)),
            "WEBP holds 16383 pixels a side, .* 16384x8; write a .png",
        ),
        ("out.jpg", Picture(np.zeros((16376, 2), np.uint8)), "JPEG holds 65500 pixels a side, .* 8x65504"),
        (
            "out.jpg",
            Picture(ramp((2, 2, 3), np.uint8), None, Tags(chunks=(PQ,))),
            "does not hold the colours of this PNG",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path, name, picture, message):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PictureError, match=message):
        fitted(picture, tmp_path / name, 4)


def test_the_largest_sides_are_not_refused(tmp_path):
    assert fitted(Picture(np.zeros((2, 4095), np.uint8)), tmp_path / "a.webp", 4).width == 4095


def test_opaque_alpha_is_left_out_where_there_is_no_place_for_it(tmp_path):
    colour = ramp((2, 2, 3), np.uint8)
    assert fitted(Picture(colour, np.full((2, 2), 255, np.uint8)), tmp_path / "a.jpg").alpha is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("space", [b"RGB ", b"GRAY"])
@pytest.mark.parametrize("grey", [False, True])
def test_profiles_go_with_samples_of_their_kind_alone(tmp_path, suffix, space, grey):
    samples = ramp((8, 9, 1), np.uint8)[:, :, 0] if grey else ramp((8, 9, 3), np.uint8)
    (tmp_path / "in.png").write_bytes(png(samples, 8, 0 if grey else 2, iccp(profile(space))))
    again = copied(tmp_path / "in.png", tmp_path / f"out{suffix}")
    fits = space == (b"GRAY" if grey else b"RGB ") and not (grey and suffix == ".webp")  # which has no grey
    assert again.tags.icc == (profile(space) if fits else None)


def test_a_grey_profile_and_a_key_make_no_colour(tmp_path):
    levels = np.arange(16)[None]
    (tmp_path / "in.png").write_bytes(png(levels, 4, 0, iccp(profile(b"GRAY")), (b"tRNS", b"\0\x0f")))
    again = copied(tmp_path / "in.png", tmp_path / "out.png")
    assert again.grey
    assert again.tags.icc == profile(b"GRAY")
    assert again.alpha.tolist() == [[255] * 15 + [0]]


@pytest.mark.parametrize("depth", [8, 16])
def test_a_pngs_colours_are_kept_in_a_png(tmp_path, depth):
    chunks = [PQ, (b"cHRM", bytes(32)), GAMMA_1]
    samples = ramp((8, 9, 3), np.uint16 if depth == 16 else np.uint8)
    (tmp_path / "in.png").write_bytes(png(samples, depth, 2, *chunks))
    again = copied(tmp_path / "in.png", tmp_path / "out.png")
    assert again.tags.chunks == tuple(chunks)
    np.testing.assert_array_equal(again.colour, samples)


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".ppm"])
def test_gamma_becomes_srgb_where_it_has_no_place(tmp_path, suffix):
    """Linear light: 55 of 255 is 0.2157, of which sRGB's curve makes 0.5019."""
    (tmp_path / "in.png").write_bytes(png(np.full((3, 3, 3), 55), 8, 2, GAMMA_1))
    assert set(copied(tmp_path / "in.png", tmp_path / f"out{suffix}").colour.ravel()) == {128}


@pytest.mark.parametrize(
    "chunk", [(b"gAMA", (45455).to_bytes(4, "big")), (b"sRGB", b"\0"), (b"cICP", bytes([1, 13, 0, 1]))]
)
def test_what_says_srgb_changes_nothing(tmp_path, chunk):
    samples = ramp((8, 9, 3), np.uint8)
    (tmp_path / "in.png").write_bytes(png(samples, 8, 2, chunk))
    np.testing.assert_array_equal(copied(tmp_path / "in.png", tmp_path / "out.bmp").colour, samples)


def test_a_profile_becomes_srgb_where_it_has_no_place(tmp_path):
    """A profile whose red and blue are exchanged, as sRGB's with its columns exchanged."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmp_", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmp_", b"bXYZ", 1)
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "BGR ".encode("utf-16-be")).replace(b"sRGB", b"BGR ")
    samples = ramp((8, 9, 3), np.uint8)
    (tmp_path / "in.png").write_bytes(png(samples, 8, 2, iccp(swapped)))
    converted = copied(tmp_path / "in.png", tmp_path / "out.bmp").colour
    assert np.abs(converted.astype(int) - samples[:, :, ::-1]).max() <= 2


def test_a_profile_is_believed_and_not_its_name(tmp_path):
    """A profile of linear light that calls itself sRGB."""
    srgb = profile(b"RGB ")
    at = srgb.index(b"para")
    linear = srgb[:at] + b"curv" + bytes(28) + srgb[at + 32 :]  # a curve of no entries is the identity
    (tmp_path / "in.png").write_bytes(png(np.full((3, 3, 3), 55), 8, 2, iccp(linear)))
    assert set(copied(tmp_path / "in.png", tmp_path / "out.bmp").colour.ravel()) == {128}


@pytest.mark.filterwarnings("ignore:.*damaged colour profile")
def test_deep_samples_whose_profile_is_converted_are_said_to_lose(tmp_path):
    (tmp_path / "in.png").write_bytes(png(ramp((4, 5), np.uint16), 16, 0, iccp(profile(b"GRAY"))))
    picture = read_picture(tmp_path / "in.png")
    assert picture.tags.icc
    with pytest.warns(UserWarning, match="gets 8 bits a channel instead of more, as its colours are converted"):
        assert fitted(picture, tmp_path / "out.pgm").colour.dtype == np.uint8


def test_the_gamma_of_a_pillow_image_becomes_srgbs_or_is_said_to_be_lost(tmp_path):
    picture = Picture(np.full((3, 3, 3), 55, np.uint8), None, Tags(chunks=(GAMMA_1,)))
    assert set(np.asarray(to_pillow(picture)).ravel()) == {128}
    with pytest.warns(UserWarning, match="a Pillow image loses what this PNG says of its colours"):
        to_pillow(Picture(picture.colour, None, Tags(chunks=(PQ,))))


@pytest.mark.parametrize("suffix", [".tif", ".bmp"])
def test_results_of_more_than_four_gigabytes_are_refused(tmp_path, suffix):
    picture = Picture(np.broadcast_to(np.uint8(0), (20000, 20000, 3)))
    with pytest.raises(PictureError, match=r"holds 4 GB, and this would be more; write a \.png"):
        fitted(picture, tmp_path / f"a{suffix}", 2)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_names_of_any_script_stay(tmp_path, suffix, coding):
    artist = "Jörg Müller".encode(coding)
    exif = Image.Exif()
    exif[315] = artist
    Image.fromarray(ramp((7, 9, 3), np.uint8)).save(tmp_path / "in.jpg", exif=exif)
    copied(tmp_path / "in.jpg", tmp_path / f"out{suffix}")
    assert artist in (tmp_path / f"out{suffix}").read_bytes()


def test_a_lossless_webp_stays_so(tmp_path, rng):
    noise = rng.integers(0, 256, (16, 16, 3), np.uint8)
    for lossless in (True, False):
        Image.fromarray(noise).save(tmp_path / "in.webp", lossless=lossless)
        again = copied(tmp_path / "in.webp", tmp_path / "out.webp")
        assert again.tags.lossless == lossless
        assert np.array_equal(again.colour, read_rgb(tmp_path / "in.webp")) == lossless


@pytest.mark.filterwarnings("ignore:.*EXIF:UserWarning", "ignore:Tag data:UserWarning")  # Pillow's
@given(st.binary(max_size=200))
def test_damaged_exif_is_left_out(data):
    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08" + data)
    image = Image.open(io.BytesIO(file.getvalue()))
    image.load()
    assert from_pillow(image).colour.shape == (2, 2)


def test_a_full_disk_leaves_no_half_picture(tmp_path, monkeypatch):
    def full(self, file, *_, **__):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PictureError, match="No space left on device; nothing was left behind"):
        write_picture(Picture(ramp((2, 2, 3), np.uint8)), tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_replaced_only_if_told(tmp_path):
    (tmp_path / "a.png").write_text("mine")
    picture = Picture(ramp((2, 2, 3), np.uint8))
    with pytest.raises(ExistsError, match="exists already and is left alone"):
        write_picture(picture, tmp_path / "a.png", overwrite=False)
    assert (tmp_path / "a.png").read_text() == "mine"
    write_picture(picture, tmp_path / "a.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), picture.colour)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_is_replaced_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "photograph.png").write_text("mine")
    (tmp_path / "out.png").symlink_to(tmp_path / "photograph.png")
    picture = Picture(ramp((2, 2, 3), np.uint8))
    with pytest.raises(ExistsError):
        write_picture(picture, tmp_path / "out.png", overwrite=False)
    write_picture(picture, tmp_path / "out.png")
    assert (tmp_path / "photograph.png").read_text() == "mine"
    np.testing.assert_array_equal(read_rgb(tmp_path / "out.png"), picture.colour)


@pytest.mark.parametrize(("shape", "mode"), [((3, 4), "L"), ((3, 4, 3), "RGB"), ((3, 4, 2), "LA"), ((3, 4, 4), "RGBA")])
def test_a_pillow_image_has_the_samples_and_the_profile(shape, mode):
    samples = ramp(shape, np.uint8)
    alpha = samples[:, :, -1] if shape[-1] in (2, 4) and len(shape) == 3 else None
    colour = samples if alpha is None else samples[:, :, 0] if shape[-1] == 2 else samples[:, :, :3]
    image = to_pillow(Picture(colour, alpha, Tags(icc=b"profile")))
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image), samples)
    assert image.info["icc_profile"] == b"profile"


def test_a_pillow_image_of_deep_colours_has_eight_bits_and_it_is_said():
    samples = ramp((3, 4, 3), np.uint16)
    with pytest.warns(UserWarning, match=r"npbsrn.upscale_file, or an array, keeps all"):
        image = to_pillow(Picture(samples))
    np.testing.assert_array_equal(np.asarray(image), cast(samples, np.uint8))
    assert to_pillow(Picture(samples[:, :, 0])).mode == "I;16"


NAMES = {
    "of 255 bytes": b"a" * 251 + b".png",
    "of 255 bytes in Chinese": "名".encode() * 83 + b"12.png",
    "of emoji": "👩\u200d🚀".encode() * 22 + b".png",
    "that are no UTF-8": b"caf\xe9\xff.png",
    "with a line break": b"a\nb.png",
}


@pytest.mark.skipif(os.name == "nt", reason="names are UTF-16 there")
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_files_may_be_anything(tmp_path, name):
    path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
    picture = Picture(ramp((2, 2, 3), np.uint8))
    write_picture(fitted(picture, path), path)
    np.testing.assert_array_equal(read_picture(path).colour, picture.colour)
    with pytest.raises(ExistsError) as caught:
        write_picture(picture, path, overwrite=False)
    assert str(caught.value).encode("utf-8").splitlines()[1:] == []
    assert [os.fsencode(entry) for entry in os.listdir(tmp_path)] == [name]
