"""Files that are made to take all memory or time: refused before they are decoded."""

import io
import struct

import pytest
from PIL import Image

from npbsrn.errors import PictureError
from npbsrn.images import gif, metadata
from npbsrn.images.directory import DETAILS, INTEROP, pages_of, read_at, read_exif
from npbsrn.images.frames import read_frames
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


@pytest.mark.parametrize("begin", [b"<xmp:Thumbnails>", b"<xap:Thumbnails>"])
def test_thumbnails_without_an_end_are_searched_once(begin):
    xmp = b"a" + begin * 3 + b"b" + begin.replace(b"<", b"</") + b"c"
    assert metadata.upright(xmp) == b"a" + begin * 2 + b"c"
    assert metadata.SMALL.match(begin * 2 + b"b") is None
    assert metadata.upright(b"a  \n " + b'xmpNote:HasExtendedXMP="x"') == b"a"


def directory(*entries, order="<"):
    """A directory: how many entries, the entries, and no other directory behind it."""
    rows = b"".join(struct.pack(order + "HHII", *entry) for entry in entries)
    return struct.pack(order + "H", len(entries)) + rows + bytes(4)


def test_directories_that_lead_to_each_other_over_and_over_are_read_once():
    many = 2000
    inner = 8 + 2 + 12 * many + 4
    outer = directory(*[(DETAILS, 4, 1, inner)] * many)
    block = b"II*\0\x08\0\0\0" + outer + directory(*[(INTEROP, 4, 1, inner)] * many)
    assert len(block) < 1 << 16
    reads = 0

    def read(at, length):
        nonlocal reads
        reads += 1
        return block[at : at + length]

    assert read_at(read, None) is not None
    assert reads < 20


def test_entries_that_lead_to_the_same_bytes_are_read_as_often_as_there_is_room():
    entries = [(tag, 1, 1 << 15, 0) for tag in range(100, 4000)]
    block = b"II*\0\x08\0\0\0" + directory(*entries)
    assert read_exif(block.ljust(1 << 16, b"\0")) is None
    assert (
        read_exif((b"II*\0\x08\0\0\0" + directory(*entries[:100])).ljust(1 << 16, b"\0")).entries[100].count == 1 << 15
    )


def test_a_page_that_is_huge_is_refused_as_the_first_is(tmp_path):
    file = io.BytesIO()
    Image.new("L", (2, 2)).save(file, "TIFF", save_all=True, append_images=[Image.new("L", (3, 3))])
    data = bytearray(file.getvalue())
    second = pages_of(lambda at, length: bytes(data[at : at + length]))[1]
    for n in range(struct.unpack_from("<H", data, second)[0]):
        at = second + 2 + 12 * n
        if struct.unpack_from("<H", data, at)[0] in (256, 257):
            struct.pack_into("<HI", data, at + 2, 4, 1)
            struct.pack_into("<I", data, at + 8, 60_000)
    frames = iter(read_frames(bytes(data)))
    assert next(frames).picture.width == 2
    with pytest.raises(PictureError, match="60000x60000 pixels"):
        next(frames)


def frame(left, top, width, height):
    return b"," + struct.pack("<4HB", left, top, width, height, 0) + b"\2\2D\1\0"


def test_a_frame_of_a_gif_that_enlarges_it_is_refused_before_memory_is_taken():
    screen = b"GIF89a" + struct.pack("<HHBBB", 2, 1, 0x80, 0, 0) + bytes(6)
    data = screen + b"!\xfe\2,;\0" + frame(0, 0, 1, 1) + frame(50_000, 2, 3, 50_000) + b";"
    assert gif.reach_of(io.BytesIO(data)) == (50_003, 50_002)
    assert gif.reach_of(io.BytesIO(screen + frame(0, 0, 1, 1) + b";" + frame(9, 9, 9, 9))) == (2, 1)
    with pytest.raises(PictureError, match="50003x50002 pixels"):
        list(read_frames(data))


@pytest.mark.parametrize("length", range(40))
def test_a_gif_that_is_cut_reaches_as_far_as_it_goes(length):
    data = b"GIF89a" + struct.pack("<HHBBB", 2, 1, 0x80, 0, 0) + bytes(6) + frame(0, 0, 4, 3)
    width, height = gif.reach_of(io.BytesIO(data[:length]))
    assert width <= 4
    assert height <= 3
