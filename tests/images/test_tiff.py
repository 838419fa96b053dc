import itertools
from contextlib import nullcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.errors import PictureError
from npbsrn.images import deep
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture, turned
from tests.images.files import given_back, ramp, tiff

ORIENTATION = 274


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("shape", "dtype", "photometric"),
    [
        ((5, 7), np.uint8, "minisblack"),
        ((5, 7), np.uint16, "minisblack"),
        ((5, 7), np.float32, "minisblack"),
        ((5, 7, 3), np.uint8, "rgb"),
        ((5, 7, 3), np.uint16, "rgb"),
        ((5, 7, 4), np.uint16, "rgb"),
        ((5, 7, 4), np.uint8, "separated"),
    ],
)
def test_uncompressed_tiffs_are_turned(tmp_path, orientation, shape, dtype, photometric):
    samples = ramp(shape, dtype)
    options = {"photometric": photometric} | (
        {"extrasamples": ["unassalpha"]} if photometric == "rgb" and shape[2:] == (4,) else {}
    )
    plain, turned_file = tmp_path / "plain.tif", tmp_path / "turned.tif"
    plain.write_bytes(tiff(samples, **options))
    turned_file.write_bytes(tiff(samples, extratags=[(ORIENTATION, "H", 1, orientation, True)], **options))
    expected = turned_by_hand(read_picture(plain).samples(), orientation)
    np.testing.assert_array_equal(read_picture(turned_file).samples(), expected)
    if photometric != "separated":
        np.testing.assert_array_equal(expected, turned_by_hand(samples, orientation))


def turned_by_hand(samples, orientation):
    """By the words of the EXIF standard: which side of the picture row 0 and column 0 are."""
    row, column = {
        1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
    }[orientation]  # fmt: skip
    upright = samples.swapaxes(0, 1) if row in ("left", "right") else samples
    if "bottom" in (row, column):
        upright = upright[::-1]
    return upright[:, ::-1] if "right" in (row, column) else upright


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 5))
def test_turning_is_what_the_standard_says(orientation, height, width):
    samples = np.arange(height * width).reshape(height, width).astype(np.uint8)
    picture = turned(Picture(samples, samples), orientation)
    np.testing.assert_array_equal(picture.colour, turned_by_hand(samples, orientation))
    np.testing.assert_array_equal(picture.alpha, picture.colour)


WHITE = "holds whole numbers of no range of their own: 65535 is taken for white"
TIFFS = [
    (dtype, channels, planes, compression, order)
    for dtype in ("uint8", "uint16", "int16", "uint32", "int32", "float16", "float32", "float64")
    for channels, planes in ((1, "contig"), *itertools.product((2, 3, 4), ("contig", "separate")))
    for compression in (None, "deflate", "lzw")
    for order in "<>"
]


@pytest.mark.parametrize(("dtype", "channels", "planes", "compression", "order"), TIFFS)
def test_every_kind_of_tiff_is_read_right(tmp_path, dtype, channels, planes, compression, order):
    """Bytes of either order, planes, kinds of numbers: where samples are in range, they are what was written."""
    dtype = np.dtype(dtype)
    high = 1.0 if dtype.kind == "f" or dtype.itemsize < 3 else 65535 / np.iinfo(dtype).max
    samples = ramp((9, 11, channels), dtype, 0, high)
    data = samples[:, :, 0] if channels == 1 else np.moveaxis(samples, 2, 0).copy() if planes == "separate" else samples
    options = {} if channels == 1 else {"planarconfig": planes}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    (tmp_path / "a.tif").write_bytes(
        tiff(
            data, photometric="minisblack" if channels < 3 else "rgb", compression=compression, byteorder=order,
            **options,
        )
    )  # fmt: skip
    with nullcontext() if dtype.kind == "f" or dtype in ("uint8", "uint16") else pytest.warns(UserWarning, match=WHITE):
        picture = read_picture(tmp_path / "a.tif")
    kind = np.float32 if dtype.kind == "f" else np.uint8 if dtype == np.uint8 else np.uint16
    assert picture.colour.dtype == kind
    np.testing.assert_array_equal(given_back(picture.samples()), samples.astype(kind))


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 7, 9, 10, 12, 14])
@pytest.mark.parametrize("kind", ["minisblack", "miniswhite", "rgb"])
def test_any_number_of_bits_is_spread_over_all_levels(tmp_path, bits, kind):
    samples = np.random.default_rng(0).integers(0, 2**bits, (6, 8, 3) if kind == "rgb" else (6, 8), np.uint16)
    data = samples.astype(bool) if bits == 1 else samples.astype(np.uint16 if bits > 8 else np.uint8)
    if bits == 1 and kind == "rgb":
        pytest.skip("there are no such pictures")
    options = {"bitspersample": bits} if bits > 1 else {}
    (tmp_path / "a.tif").write_bytes(tiff(data, photometric=kind, **options))
    picture = read_picture(tmp_path / "a.tif")
    peak = 65535 if bits > 8 else 255
    exact = samples * (peak / (2**bits - 1))
    assert picture.colour.dtype == (np.uint16 if bits > 8 else np.uint8)
    assert np.abs(picture.colour - (peak - exact if kind == "miniswhite" else exact)).max() <= 0.51


def test_twelve_bits_are_refused_without_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.tif").write_bytes(tiff(np.full((6, 8), 4095, np.uint16), photometric="minisblack", bitspersample=12))
    monkeypatch.setattr("npbsrn.images.deep.available", lambda: False)
    with pytest.raises(PictureError, match="needs more packages"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.filterwarnings("ignore:.*65535 is taken for white")
@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([[0, 70000]], np.int32), "whole numbers from 0 to 70000; bring them into 0..65535"),
        (np.array([[0, 4000000000]], np.uint32), "whole numbers from 0 to 4000000000"),
        (np.array([[-1, 5]], np.int16), "whole numbers from -1 to 5"),
        (np.array([[1, 5]], np.int8), "signed numbers of 8 bits, which are no picture's; convert it"),
        (np.array([[0, 1.5]], np.float32), r"floats from 0 to 1.5; divide them by their range, to 0..1"),
        (np.array([[0, np.nan]], np.float32), "floats from nan to nan"),
        (np.array([[0, 1j]], np.complex64), "holds complex64 numbers, which are no picture's; convert it"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, samples, message):
    (tmp_path / "a.tif").write_bytes(tiff(np.repeat(samples, 3, axis=0), photometric="minisblack"))
    with pytest.raises(PictureError, match=message):
        read_picture(tmp_path / "a.tif")


def test_a_tiff_that_pillow_does_not_read_right_is_refused_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("npbsrn.images.deep.available", lambda: False)
    planes = np.moveaxis(ramp((9, 11, 3), np.uint16), 2, 0).copy()
    (tmp_path / "a.tif").write_bytes(tiff(planes, photometric="rgb", planarconfig="separate"))
    with pytest.raises(PictureError, match=r"needs more packages: pip install 'npbsrn\[deep\]', or convert it"):
        read_picture(tmp_path / "a.tif")


def test_white_may_be_zero_and_colour_multiplied_by_alpha(tmp_path):
    grey = ramp((4, 5), np.uint16)
    (tmp_path / "white.tif").write_bytes(tiff(grey, photometric="miniswhite", compression="deflate"))
    picture = read_picture(tmp_path / "white.tif")
    np.testing.assert_array_equal(picture.colour, 65535 - grey)
    straight = np.full((4, 5, 4), (60000, 20000, 4, 0), np.uint16)
    straight[:, :, 3] = np.linspace(0, 65535, 20).reshape(4, 5)
    multiplied = straight.copy()
    multiplied[:, :, :3] = np.rint(straight[:, :, :3] * (straight[:, :, 3:] / 65535))
    (tmp_path / "a.tif").write_bytes(tiff(multiplied, photometric="rgb", extrasamples=["assocalpha"]))
    picture = read_picture(tmp_path / "a.tif")
    seen = picture.alpha > 20000
    assert np.abs(picture.colour[seen].astype(int) - straight[seen][:, :3].astype(int)).max() <= 2
    np.testing.assert_array_equal(picture.alpha, straight[:, :, 3])


def test_a_volume_is_refused(tmp_path):
    volume = np.zeros((16, 32, 48), np.float32)
    (tmp_path / "a.tif").write_bytes(tiff(volume, photometric="minisblack", volumetric=True, tile=(16, 16, 16)))
    with pytest.raises(PictureError, match="holds no picture of grey or colours"):
        read_picture(tmp_path / "a.tif")


def test_deep_inks_come_out_in_eight_bits_and_it_is_said(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(np.full((3, 4, 4), (65535, 0, 0, 0), np.uint16), photometric="separated"))
    with pytest.warns(UserWarning, match="of which 8 come out"):
        assert read_picture(tmp_path / "a.tif").colour[0, 0].tolist() == [0, 255, 255]


def test_the_preview_of_a_raw_file_is_not_taken_for_the_picture(tmp_path):
    (tmp_path / "a.nef").write_bytes(tiff(ramp((3, 4, 3), np.uint8), photometric="rgb", subfiletype=1))
    with pytest.raises(PictureError, match="holds a small preview first, as cameras' raw files do"):
        read_picture(tmp_path / "a.nef")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize(
    "words",
    [
        "<D tiff:Orientation = '{}' a='b'/>",
        '<D tiff:Orientation="{}" a="b"/>',
        "<tiff:Orientation>{}</tiff:Orientation>",
    ],
)
@pytest.mark.parametrize("orientation", [1, 3, 6, 8, 9])
def test_xmp_turns_a_tiff_of_any_depth_that_says_nothing_else(tmp_path, dtype, words, orientation):
    if dtype != np.uint8 and not deep.available():
        pytest.skip("needs the extra deep")
    samples = ramp((4, 5, 3), dtype)
    xmp = words.format(orientation).encode()
    extra = [(700, "B", len(xmp), xmp, True)]
    (tmp_path / "a.tif").write_bytes(tiff(samples, photometric="rgb", extratags=extra))
    expected = turned_by_hand(samples, orientation if orientation < 9 else 1)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").colour, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("compression", [None, "deflate"])
def test_xmp_does_not_turn_what_is_upright_and_white_may_be_zero(tmp_path, dtype, compression):
    samples = ramp((4, 5), dtype)
    xmp = b'<D tiff:Orientation="6" dc:a="b"/>'
    extra = [(700, "B", len(xmp), xmp, True), (ORIENTATION, "H", 1, 6, True)]
    (tmp_path / "a.tif").write_bytes(tiff(samples, photometric="miniswhite", compression=compression, extratags=extra))
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.colour, np.rot90(np.iinfo(dtype).max - samples, -1))
    assert picture.tags.xmp.split() == [b"<D", b'dc:a="b"/>']
