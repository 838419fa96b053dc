"""Pages of a TIFF: all kinds come back, each with its own tags, in time that grows with their number."""

import io
import struct
from contextlib import nullcontext

import numpy as np
import pytest

from npbsrn.images.animation import write_frames
from npbsrn.images.frames import Frame, read_frames
from npbsrn.images.picture import Picture, Tags
from tests.images.files import ramp, tiff

PAGES = [ramp((5, 7, 3), np.uint8), ramp((9, 4), np.uint8), ramp((6, 6, 3), np.uint16), ramp((3, 8, 4), np.float32)]


def pages_of(path):
    return [frame.picture.samples() for frame in read_frames(path)]


def test_pages_of_any_kind_come_back(tmp_path):
    frames = [
        Frame(Picture(page)) if page.shape[2:] != (4,) else Frame(Picture(page[:, :, :3], page[:, :, 3]))
        for page in PAGES
    ]
    write_frames(frames, tmp_path / "a.tif")
    again = read_frames(tmp_path / "a.tif")
    assert (len(again), again.moving) == (4, False)
    for samples, page in zip(pages_of(tmp_path / "a.tif"), PAGES, strict=True):
        np.testing.assert_array_equal(samples, page)
        assert samples.dtype == page.dtype
    import tifffile

    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        for page, expected in zip(file.pages, PAGES, strict=True):
            np.testing.assert_array_equal(page.asarray(), expected)


@pytest.mark.parametrize(("big", "order"), [(False, "<"), (False, ">"), (True, "<")])
def test_each_page_is_read_with_its_own_tags(tmp_path, big, order):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big, byteorder=order) as file:
        for number, page in enumerate(PAGES[:3]):
            options = {"photometric": "rgb" if page.ndim == 3 else "minisblack", "metadata": None}
            file.write(page, description=f"page {number}", resolution=(72 + number, 72 + number), **options)
    for number, frame in enumerate(read_frames(tmp_path / "a.tif")):
        np.testing.assert_array_equal(frame.picture.samples(), PAGES[number])
        assert frame.picture.tags.dpi == (72 + number, 72 + number)
        assert frame.picture.tags.exif.entries[270].data == f"page {number}\0".encode()


class Counted(io.BytesIO):
    """A file that counts its reads."""

    reads = 0

    def read(self, *size):
        self.reads += 1
        return super().read(*size)


@pytest.mark.parametrize("page", [PAGES[1], PAGES[2]], ids=["by Pillow", "by tifffile"])
def test_each_page_takes_as_many_reads_and_writes(monkeypatch, page):
    """Whoever looks for a page from the first one on takes four times as many for twice the pages."""
    reads, writes = [], []
    for count in (40, 80):
        target = Counted()
        monkeypatch.setattr("npbsrn.images.animation.whole_file", lambda *_, target=target: nullcontext(target))
        write_frames([Frame(Picture(page))] * count, "a.tif")
        source = Counted(target.getvalue())
        monkeypatch.setattr("npbsrn.images.frames.source_file", lambda _, source=source: nullcontext(source))
        source.seek(0)
        frames = read_frames(target.getvalue())
        source.seek(0)
        assert [frame.picture.samples().tobytes() for frame in frames] == [page.tobytes()] * count
        reads.append(source.reads)
        writes.append(target.reads)
    assert reads[1] < 2.1 * reads[0]
    assert writes[1] < 2.1 * writes[0]


def test_previews_and_masks_are_no_pages(tmp_path):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(PAGES[0], photometric="rgb", metadata=None)
        file.write(PAGES[0][::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
        file.write(PAGES[1] > 99, photometric="mask", subfiletype=4, metadata=None)
        file.write(PAGES[1], photometric="minisblack", subfiletype=2, metadata=None)
    first, second = pages_of(tmp_path / "a.tif")
    np.testing.assert_array_equal(first, PAGES[0])
    np.testing.assert_array_equal(second, PAGES[1])
    (tmp_path / "b.tif").write_bytes(tiff(PAGES[0], photometric="rgb"))
    assert len(read_frames(tmp_path / "b.tif")) == 1


def test_pages_have_tags_of_their_own(tmp_path):
    first, second = (Tags(xmp=text, dpi=dpi) for text, dpi in ((b"<a/>", (100, 100)), (b"<bcdefg/>", (300, 300))))
    write_frames([Frame(Picture(PAGES[0], None, first)), Frame(Picture(PAGES[2], None, second))], tmp_path / "a.tif")
    again = [frame.picture.tags for frame in read_frames(tmp_path / "a.tif")]
    assert [(tags.xmp, tags.dpi) for tags in again] == [(tags.xmp, pytest.approx(tags.dpi)) for tags in (first, second)]


def test_directories_of_a_tiff_that_run_in_a_circle_end():
    data = tiff(PAGES[1], photometric="minisblack")
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    circle = bytearray(data)
    struct.pack_into("<I", circle, start + 2 + 12 * count, start)
    assert len(read_frames(bytes(circle))) == 1
    assert io.BytesIO(circle).getvalue() != data
