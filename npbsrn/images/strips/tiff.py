"""TIFF, by rows.

References
----------
Adobe, "TIFF Revision 6.0", 1992; Aldus and Adobe, "TIFF Technical Notes", for predictors and deflate. The BigTIFF File
Format, https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np

from npbsrn.images.directory import (
    LONG,
    LONG8,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Directory,
    Entry,
    Exif,
)
from npbsrn.images.directory_writing import append_directory, block_of
from npbsrn.images.embedding import INCH, as_rational, tiff_entries
from npbsrn.images.metadata import (
    ACROSS,
    DOWN,
    HEIGHT,
    KIND,
    UNIT,
    WIDTH,
    exif_of_tiff,
    of_tiff,
    orientation_of,
    pages_of_tiff,
)
from npbsrn.images.opening import Damage, Source, source_file
from npbsrn.images.picture import Picture
from npbsrn.images.reading import BITS, EXTRA, PHOTOMETRIC, PLANAR, SAMPLE_FORMAT, SAMPLES, TIFF_HEADERS, read_picture
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import PIECE, PLANE, Page, Stacked
from npbsrn.runtime.threads import map_parallel, thread_count

Array = np.ndarray[Any, Any]

COMPRESSION, OFFSETS, STRIP_ROWS, COUNTS, PREDICTOR = 259, 273, 278, 279, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, PROFILE = 322, 323, 324, 325, 34675
# What says how samples are coded, and what they mean, beside extents and places.
CODING = (
    KIND, BITS, COMPRESSION, PHOTOMETRIC, 266, SAMPLES, PLANAR, 292, 293, PREDICTOR, 320, TILE_WIDTH, TILE_HEIGHT, 332,
    EXTRA, SAMPLE_FORMAT, 347, 529, 530, 531, 532, PROFILE,
)  # fmt: skip
PLAIN, DEFLATE, BY_COLUMN, UNASSOCIATED = 1, 8, 2, 2
LEVEL = 6
MOST_SAMPLES = 16  # of a pixel
FEWEST = 4  # pieces of a large picture: fewer would take as much memory as all of it
ROOM = 1 << 20  # pixels that a tile may have beyond those of the picture
CLASSIC = 4 * 10**9  # bytes up to which a TIFF's offsets reach for certain


@dataclass(frozen=True)
class TiffRows:
    """A TIFF of strips or tiles; see `npbsrn.images.strips.base.Rows`.

    Strips that are looked at become a TIFF of their own, coded as they are, which is read as any: so every kind that is
    read is read by rows, and with the same samples. Of what is not compressed any rows are a strip.

    Parameters
    ----------
    exif : Exif
        All tags.
    parts : sequence of (offset, length)
        Strips, or tiles row by row; of planes one plane after another.
    rows : int
        Of a strip or tile.
    across, planes : int
        Tiles of a row; planes.
    """

    source: Source
    name: object
    width: int
    height: int
    exif: Exif
    parts: Sequence[tuple[int, int]]
    rows: int
    across: int
    planes: int

    @cached_property
    def sample(self) -> Picture:
        """The first strip, with the tags of all."""
        with source_file(self.source) as file:
            piece = self._piece(file, 0, 1)
        return replace(piece, tags=of_tiff(self.exif, piece.grey))

    @property
    def piece_bytes(self) -> int:
        """Of a row of strips or tiles, which a file may make as large as itself."""
        bits = max(8, *self.exif.numbers(self.exif.entries.get(BITS)), 8) * self._number(SAMPLES)
        return self.rows * self.width * bits // 8

    def pieces(self) -> Iterator[Picture]:
        """All rows."""
        down = -(-self.height // self.rows)
        at_once = max(1, PIECE // max(1, self.piece_bytes))
        with source_file(self.source) as file:
            for first in range(0, down, at_once):
                yield self._piece(file, first, min(at_once, down - first))

    def _number(self, tag: int) -> int:
        return int((*self.exif.numbers(self.exif.entries.get(tag)), 1)[0])

    def _piece(self, file: BinaryIO, first: int, count: int) -> Picture:
        """Some rows of strips or tiles."""
        down = -(-self.height // self.rows)
        places = [
            self.parts[(plane * down + first) * self.across + n]
            for plane in range(self.planes)
            for n in range(count * self.across)
        ]
        data = []
        for at, length in places:
            file.seek(at)
            data.append(file.read(length))
            if len(data[-1]) < length:
                raise Damage("it is cut short")
        top = first * self.rows
        return read_picture(self._file(data, min(count * self.rows, self.height - top)), None, self.name)

    def _file(self, data: Sequence[bytes], height: int) -> bytes:
        """A TIFF of so many rows."""
        exif = self.exif
        entries: Directory = {tag: exif.entries[tag] for tag in CODING if tag in exif.entries}
        entries |= {WIDTH: exif.entry(LONG, self.width), HEIGHT: exif.entry(LONG, height)}
        tiled = TILE_WIDTH in entries
        if not tiled:
            entries[STRIP_ROWS] = exif.entry(LONG, self.rows)
        entries[TILE_COUNTS if tiled else COUNTS] = exif.entry(LONG, *map(len, data))
        begin = 0
        for _ in range(2):  # where the strips are depends on how long the directory is, but not the other way
            places = accumulate(map(len, data[:-1]), initial=begin)
            entries[TILE_OFFSETS if tiled else OFFSETS] = exif.entry(LONG, *places)
            block = block_of(replace(exif, entries=entries, note_at=None))
            begin = len(block)
        return block + b"".join(data)


def tiff_rows(source: Source, file: BinaryIO, name: object) -> TiffRows | None:
    """A TIFF that can be read by rows; None if it is turned, has several pages, or other parts than it needs."""
    file.seek(0)
    if file.read(4) not in TIFF_HEADERS or len(pages_of_tiff(file)) != 1:
        return None
    exif = exif_of_tiff(file)
    if exif is None:
        return None

    def numbers(tag: int, otherwise: tuple[int, ...] = ()) -> tuple[int, ...]:
        return exif.numbers(exif.entries.get(tag)) or otherwise

    (width, *_), (height, *_) = numbers(WIDTH, (0,)), numbers(HEIGHT, (0,))
    tiled = TILE_WIDTH in exif.entries
    rows = min(numbers(TILE_HEIGHT if tiled else STRIP_ROWS, (height,))[0], max(height, 1))
    rows = numbers(TILE_HEIGHT, (0,))[0] if tiled else rows
    side = numbers(TILE_WIDTH, (0,))[0] if tiled else width
    samples, planes = numbers(SAMPLES, (1,))[0], numbers(PLANAR, (1,))[0] == 2
    if not (width and height and rows and side) or side * rows > width * height + ROOM or samples > MOST_SAMPLES:
        return None
    if orientation_of(exif) != 1:
        return None
    places, lengths = (numbers(tag) for tag in ((TILE_OFFSETS, TILE_COUNTS) if tiled else (OFFSETS, COUNTS)))
    across, count = -(-width // side), samples if planes else 1
    if len(places) != len(lengths) or len(places) != count * across * -(-height // rows):
        return None
    parts = [*zip(places, lengths, strict=True)]
    if not tiled and not planes and numbers(COMPRESSION, (1,))[0] == PLAIN and rows > 1:
        parts, rows = _divided(parts, rows, height, -(-width * sum((numbers(BITS, (1,)) * samples)[:samples]) // 8))
    if rows * FEWEST > height and width * height > ROOM:
        return None
    return TiffRows(source, name, width, height, exif, parts, rows, across, count)


def _divided(parts: list[tuple[int, int]], rows: int, height: int, line: int) -> tuple[list[tuple[int, int]], int]:
    """Strips that are not compressed, cut into smaller ones."""
    few = max(1, PIECE // max(line, 1))
    if few >= rows or any(length < line * min(rows, height - n * rows) for n, (_, length) in enumerate(parts)):
        return parts, rows
    if rows % few:
        few = next(count for count in range(few, 0, -1) if rows % count == 0 or len(parts) == 1)
    cut = []
    for n, (at, _) in enumerate(parts):
        for top in range(0, min(rows, height - n * rows), few):
            count = min(few, height - n * rows - top)
            cut.append((at + top * line, count * line))
    return cut, few


class TiffWriter:
    """Writes strips, deflated with a predictor; see `npbsrn.images.strips.base.Writer`.

    A BigTIFF where the samples take more than an ordinary one can hold; otherwise one that any program reads.
    """

    def __init__(self, file: BinaryIO, page: Page, saving: Saving, threads: int | None) -> None:
        self.file, self.page, self.saving, self.threads = file, page, saving, threads or thread_count()
        self.big = page.size > CLASSIC
        line = page.width * page.channels * np.dtype(page.dtype).itemsize
        self.rows = Stacked(max(1, PLANE // line))
        self.places: list[int] = []
        self.lengths: list[int] = []
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if self.big else struct.pack("<2sHI", b"II", 42, 0))

    def write(self, samples: Array) -> None:
        """Add rows."""
        self._put(self.rows.take(samples))

    def _put(self, blocks: list[Array]) -> None:
        for first in range(0, len(blocks), 4 * self.threads):
            for packed in map_parallel(_deflated, blocks[first : first + 4 * self.threads], self.threads):
                self.places.append(self.file.tell())
                self.lengths.append(self.file.write(packed))

    def close(self) -> None:
        """Complete the file by its directory."""
        self._put(self.rows.rest())
        self.file.write(bytes(self.file.tell() % 2))
        base, block = self.file.tell(), bytearray()
        entries = tiff_entries(self.page.tags, self.page.width, self.page.height, self.saving).in_order("<").entries
        at = append_directory(block, base, "<", {**entries, **self._entries()}, self.big)
        self.file.write(block)
        self.file.seek(8 if self.big else 4)
        self.file.write(struct.pack("<Q" if self.big else "<I", at))
        self.file.seek(0, 2)

    def _entries(self) -> Directory:
        page, exif = self.page, Exif()
        kind, colours = np.dtype(page.dtype), page.channels - page.alpha

        def short(*numbers: int) -> Entry:
            return exif.entry(SHORT, *numbers)

        entries: Directory = {
            WIDTH: exif.entry(LONG, page.width), HEIGHT: exif.entry(LONG, page.height),
            BITS: short(*[8 * kind.itemsize] * page.channels), COMPRESSION: short(DEFLATE),
            PHOTOMETRIC: short(2 if colours == 3 else 1), SAMPLES: short(page.channels), PLANAR: short(1),
            STRIP_ROWS: exif.entry(LONG, self.rows.count),
            OFFSETS: exif.entry(LONG8 if self.big else LONG, *self.places),
            COUNTS: exif.entry(LONG, *self.lengths),
            SAMPLE_FORMAT: short(*[3 if kind.kind == "f" else 1] * page.channels),
        }  # fmt: skip
        if kind.kind == "u":
            entries[PREDICTOR] = short(BY_COLUMN)
        if page.alpha:
            entries[EXTRA] = short(UNASSOCIATED)
        if page.tags.icc:
            entries[PROFILE] = Entry(UNDEFINED, page.tags.icc)
        if page.tags.dpi:
            for tag, value in zip((ACROSS, DOWN), page.tags.dpi, strict=True):
                entries[tag] = exif.entry(RATIONAL, *as_rational(value))
            entries[UNIT] = short(INCH)
        return entries


def _deflated(rows: Array) -> bytes:
    """A strip: whole numbers as their differences from the pixel to the left."""
    rows = rows.reshape(*rows.shape[:2], -1)
    if rows.dtype.kind == "u":
        rows = np.concatenate([rows[:, :1], rows[:, 1:] - rows[:, :-1]], axis=1)
    return zlib.compress(np.ascontiguousarray(rows, rows.dtype.newbyteorder("<")).tobytes(), LEVEL)
