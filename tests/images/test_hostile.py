"""Files that are made to take all memory or time: refused before they are decoded."""

import pytest

from npbsrn.errors import PictureError
from npbsrn.images import metadata
from npbsrn.images.opening import MAX_PIXELS
from npbsrn.images.reading import read_picture
from tests.fuzz import bombs

BOMBS = bombs.pictures()
HUGE = [name for name in BOMBS if "256 MP" in name and "in it" not in name] + [
    "gif of 65535 x 65535",
    "psd of 30000 x 8000",
    "sgi of 65535 x 4000",
    "jpeg of 65500 x 4000",
    "jpeg of 65500 x 4000, progressive",
    "tiff of 100 MP of 16 doubles",
    "tiff of 1 pixel in a tile of 40000",
    "tiff of 1 pixel in a tile of 40000, lzma",
]


@pytest.mark.parametrize("name", HUGE)
def test_many_pixels_in_few_bytes_are_refused(name):
    with pytest.raises(PictureError):
        read_picture(BOMBS[name]())


def test_whoever_trusts_a_file_can_read_it():
    data = bombs.webp_of(4100, 4100)
    with pytest.raises(PictureError, match="4100x4100 pixels in 34 bytes, as files have that are made to fill the mem"):
        read_picture(data)
    assert read_picture(data, 4100**2).width == 4100


def test_a_size_that_files_have_in_earnest_is_read():
    assert read_picture(bombs.webp_of(4096, 4096)).height == 4096
    assert MAX_PIXELS >= 10**8


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiff with webp of 256 MP in it", "is compressed in a way that is not read at such a depth"),
        ("tiff of 16 MP in tiles of 1 pixel", "parts of it are missing"),
        ("tiff of 16 MP in rows of strips", "parts of it are missing"),
        ("tiff of 1 pixel, 2^31 deep", "holds no picture of grey or colours"),
    ],
)
def test_what_a_tiff_holds_beside_its_pixels_is_refused(name, message):
    pytest.importorskip("tifffile")
    with pytest.raises(PictureError, match=message):
        read_picture(BOMBS[name]())


def test_a_run_of_spaces_is_searched_once():
    xmp = b'a   tiff:Orientation="6"'
    assert metadata.upright(xmp) == b"a"
    starts = [n for n in range(len(xmp)) if metadata.TURN.match(xmp, n)]
    assert starts == [1]  # at any other the spaces behind it would be looked through again
