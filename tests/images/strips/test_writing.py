"""What is written by rows is read as what it is, and says what a whole picture's file says."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.images.fitting import fitted
from npbsrn.images.formats import format_of
from npbsrn.images.metadata import bare
from npbsrn.images.picture import split
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving
from npbsrn.images.strips import png, tiff
from npbsrn.images.strips.base import Page, Stacked
from npbsrn.images.strips.opening import is_written_by_rows, writer_for
from npbsrn.images.writing import encode_picture
from tests.images.files import profile, ramp
from tests.images.test_metadata import FULL, MADE

SHAPES = [(17, 9), (17, 9, 2), (17, 9, 3), (17, 9, 4)]
CASES = [
    (suffix, dtype, shape)
    for suffix, dtypes in ((".png", (np.uint8, np.uint16)), (".tif", (np.uint8, np.uint16, np.float32)))
    for dtype in dtypes
    for shape in SHAPES
] + [(".ppm", np.uint8, (17, 9, 3)), (".pgm", np.uint8, (17, 9)), (".pgm", np.uint16, (17, 9))]


def by_rows(picture, suffix, cuts=(5, 6), saving=Saving(), threads=2):  # noqa: B008
    """The file of a picture that is written by rows."""
    samples, file = picture.samples(), io.BytesIO()
    channels = samples.shape[2] if samples.ndim == 3 else 1
    tags = bare(picture.tags) if saving.strip else picture.tags
    page = Page(picture.width, picture.height, channels, picture.alpha is not None, samples.dtype, tags)
    writer = writer_for(format_of(suffix), file, page, saving, threads)
    for part in np.split(samples, cuts):
        writer.write(part)
    writer.close()
    return file.getvalue()


def unplaced(tags):
    """Tags without where a maker's notes are in the file."""
    return replace(tags, exif=tags.exif and replace(tags.exif, note_at=None))


def assert_same(data, whole):
    read, expected = read_picture(data), read_picture(whole)
    assert read.colour.dtype == expected.colour.dtype
    np.testing.assert_array_equal(read.samples(), expected.samples())
    assert unplaced(read.tags) == unplaced(expected.tags)


@pytest.mark.filterwarnings("ignore:.* holds no EXIF, XMP, IPTC")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("saving", [Saving(provenance=MADE), Saving(strip=True)])
@pytest.mark.parametrize(("suffix", "dtype", "shape"), CASES)
def test_a_file_holds_what_one_that_is_written_at_once_holds(monkeypatch, suffix, dtype, shape, saving, big):
    if big:
        monkeypatch.setattr(tiff, "CLASSIC", 0)
        monkeypatch.setattr(png, "PLANE", 60)
        monkeypatch.setattr(tiff, "PLANE", 60)
    grey = len(shape) < 3 or shape[2] < 3
    icc = None if "m" in suffix else profile(b"GRAY" if grey else b"RGB ")
    tags = replace(FULL, icc=icc)
    picture = fitted(replace(split(ramp(shape, dtype)), tags=tags), None, 1, replace(saving, format=suffix))
    data, whole = by_rows(picture, suffix, saving=saving), encode_picture(picture, suffix, saving)
    assert_same(data, whole)
    if suffix in (".ppm", ".pgm"):
        assert data == whole
    if suffix == ".tif":
        assert data[2] == (43 if big else 42)


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 40), max_size=5).map(sorted), threads=st.integers(1, 3), plane=st.integers(1, 900))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_bytes_depend_neither_on_strips_nor_on_threads(suffix, cuts, threads, plane):
    picture = split(ramp((40, 13, 4), np.uint16))
    with pytest.MonkeyPatch.context() as patch:
        for module in (png, tiff):
            patch.setattr(module, "PLANE", plane)
        data = by_rows(picture, suffix, cuts, threads=threads)
        assert data == by_rows(picture, suffix, (), threads=1)
    assert_same(data, encode_picture(picture, suffix))


def test_a_png_is_one_stream_which_is_hardly_longer_than_at_once(rng):
    picture = split(np.cumsum(rng.integers(-2, 3, (600, 700, 3)), axis=1).astype(np.uint8))
    data = by_rows(picture, ".png", range(50, 600, 50))
    assert len(data) < 1.03 * len(encode_picture(picture, "png"))
    assert_same(data, encode_picture(picture, "png"))


@given(count=st.integers(1, 9), heights=st.lists(st.integers(0, 20), max_size=6))
def test_blocks_hold_all_rows_in_order(count, heights):
    rows = np.arange(sum(heights))[:, None]
    stacked, blocks, last = Stacked(count), [], []
    for part in np.split(rows, np.cumsum(heights)[:-1]) if heights else []:
        part = part.copy()
        taken = stacked.take(part)
        blocks += [block.copy() for block in taken]
        part[:] = -1  # whose memory is used again
    last = stacked.rest()
    assert all(len(block) == count for block in blocks)
    assert sum(map(len, last)) < count
    np.testing.assert_array_equal(np.concatenate([*blocks, *last, rows[:0]]), rows)


def test_other_formats_are_written_at_once():
    kinds = {suffix: is_written_by_rows(format_of(suffix)) for suffix in (".png", ".TIF", "pgm", ".ppm", ".jpg", "bmp")}
    assert kinds == {".png": True, ".TIF": True, "pgm": True, ".ppm": True, ".jpg": False, "bmp": False}
