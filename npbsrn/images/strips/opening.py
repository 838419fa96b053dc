"""Which files are read and written by rows."""

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from npbsrn.images.formats import PGM, PNG, PPM, TIFF, Format
from npbsrn.images.metadata import extents_of_tiff
from npbsrn.images.opening import Source, refusals, refuse_huge, source_file
from npbsrn.images.picture import Picture
from npbsrn.images.png import SIGNATURE
from npbsrn.images.reading import TIFF_HEADERS
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import Page, Rows, Writer
from npbsrn.images.strips.png import PngWriter, png_rows
from npbsrn.images.strips.ppm import HEADER, LONGEST, PpmWriter, ppm_rows
from npbsrn.images.strips.tiff import TiffWriter, tiff_rows

WRITERS: dict[str, Any] = {PNG.name: PngWriter, TIFF.name: TiffWriter, PPM.name: PpmWriter}


def extents_of(source: Source, name: object) -> tuple[int, int] | None:
    """Width and height of a file of a kind that may be read by rows, at a glance; None of any other."""
    with refusals(name), source_file(source) as file:
        head = file.read(LONGEST)
        if head.startswith(SIGNATURE) and len(head) >= 24:
            return struct.unpack_from(">II", head, 16)
        if match := HEADER.match(head):
            return int(match[2]), int(match[3])
        if head[:4] not in TIFF_HEADERS:
            return None
        return extents_of_tiff(file)


def rows_of(source: Source, name: object, max_pixels: int | None) -> Rows | None:
    """A picture to be read by rows; None if it can only be read as a whole, or is several pictures.

    Raises
    ------
    PictureError
        If the file is damaged, as far as it is looked at, or has more than `max_pixels`.
    """
    with refusals(name), source_file(source) as file:
        for kind in (png_rows, tiff_rows, ppm_rows):
            rows = kind(source, file, name)
            if rows is not None:
                refuse_huge(rows.width, rows.height, max_pixels, file)
                _ = rows.sample  # whose damage is said here
                return rows
    return None


def pieces_of(rows: Rows, name: object) -> Iterator[Picture]:
    """All rows, whose damage becomes one sentence about the file `name`."""
    with refusals(name):
        yield from rows.pieces()


def is_written_by_rows(form: Format) -> bool:
    """Whether `writer_for` has a writer for a format."""
    return form in (PNG, TIFF, PPM, PGM)


def writer_for(form: Format, file: BinaryIO, page: Page, saving: Saving, threads: int | None) -> Writer:
    """A writer of a format, for which `is_written_by_rows`."""
    writer: Writer = WRITERS[form.name](file, page, saving, threads)
    return writer
