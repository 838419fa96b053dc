"""PPM and PGM, by rows.

References
----------
The Netpbm formats, https://netpbm.sourceforge.net/doc/ppm.html.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from npbsrn.images.opening import Damage, Source, source_file
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import PIECE, Page

Array = np.ndarray[Any, Any]

SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
HEADER = re.compile(rb"(P[56])" + SPACE + rb"(\d{1,9})" + SPACE + rb"(\d{1,9})" + SPACE + rb"(\d{1,5})\s")
LONGEST = 4096  # bytes of a header, with comments


@dataclass(frozen=True)
class PpmRows:
    """A binary PPM or PGM; see `npbsrn.images.strips.base.Rows`.

    Rows that are looked at become a file of their own, which is read as any: so they are what they are in the whole.
    """

    source: Source
    name: object
    width: int
    height: int
    magic: bytes
    peak: int
    begin: int  # of the samples

    @cached_property
    def sample(self) -> Picture:
        """The first row."""
        with source_file(self.source) as file:
            return self._piece(file, 0, 1)

    @property
    def line(self) -> int:
        """Bytes of a row."""
        return self.width * (3 if self.magic == b"P6" else 1) * (2 if self.peak > 255 else 1)

    @property
    def piece_bytes(self) -> int:
        """As many as wanted."""
        return 0

    def pieces(self) -> Iterator[Picture]:
        """All rows."""
        count = max(1, PIECE // self.line)
        with source_file(self.source) as file:
            for top in range(0, self.height, count):
                yield self._piece(file, top, min(count, self.height - top))

    def _piece(self, file: BinaryIO, top: int, count: int) -> Picture:
        file.seek(self.begin + top * self.line)
        data = file.read(count * self.line)
        if len(data) < count * self.line:
            raise Damage("it is cut short")
        return read_picture(b"%s %d %d %d\n%s" % (self.magic, self.width, count, self.peak, data), None, self.name)


def ppm_rows(source: Source, file: BinaryIO, name: object) -> PpmRows | None:
    """A PPM or PGM that can be read by rows; None if it is of another kind."""
    file.seek(0)
    match = HEADER.match(file.read(LONGEST))
    if match is None:
        return None
    width, height, peak = (int(match[n]) for n in (2, 3, 4))
    if not (width > 0 and height > 0 and 0 < peak < 65536):
        return None
    rows = PpmRows(source, name, width, height, match[1], peak, match.end())
    if file.seek(0, os.SEEK_END) < rows.begin + height * rows.line:
        raise Damage("it is cut short")
    return rows


class PpmWriter:
    """Writes what Pillow writes, row by row; see `npbsrn.images.strips.base.Writer`."""

    def __init__(self, file: BinaryIO, page: Page, saving: Saving, threads: int | None) -> None:
        self.file, deep = file, page.dtype == np.uint16
        magic, peak = (b"P5" if page.channels == 1 else b"P6"), 65535 if deep else 255
        self.file.write(b"%s\n%d %d\n%d\n" % (magic, page.width, page.height, peak))

    def write(self, samples: Array) -> None:
        """Add rows."""
        kind = samples.dtype.newbyteorder(">")
        self.file.write(np.ascontiguousarray(samples, kind).data)

    def close(self) -> None:
        """Nothing is left to be done."""
