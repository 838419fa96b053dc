"""PNG, by rows.

References
----------
W3C, "Portable Network Graphics (PNG) Specification (Third Edition)".
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from npbsrn.images.compression import LARGER, LEVEL
from npbsrn.images.embedding import png_chunks
from npbsrn.images.metadata import ORIENTATION
from npbsrn.images.opening import Damage, Source, opened, source_file
from npbsrn.images.picture import Picture
from npbsrn.images.png import EARLY, GREY, GREY_ALPHA, RGB, RGB_ALPHA, SIGNATURE, scan, whole
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import PIECE, PLANE, Page, Stacked, write_all
from npbsrn.kernels.png_filters import filtered, unfilter
from npbsrn.runtime.threads import map_parallel, thread_count

Array = np.ndarray[Any, Any]

CHANNELS = {GREY: 1, RGB: 3, 3: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}  # by colour type
KINDS = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGB_ALPHA}  # colour types, by channels
PIXELS = (b"PLTE", b"tRNS")  # chunks that say what samples mean
HISTORY = 1 << 15  # bytes that deflate looks back
READ = 1 << 16  # bytes of a file at once


@dataclass(frozen=True)
class PngRows:
    """A PNG that is not interlaced; see `npbsrn.images.strips.base.Rows`.

    Rows are inflated and unfiltered here, and become a PNG of their own, which is read as any: so they are what they
    are in the whole, whatever palettes, depths and transparent colours there are.

    Parameters
    ----------
    header : bytes
        Content of IHDR.
    others : bytes
        Chunks that say what samples mean.
    data : tuple of (offset, length)
        Of the contents of IDAT.
    sample : Picture
    """

    source: Source
    name: object
    width: int
    height: int
    header: bytes
    others: bytes
    data: tuple[tuple[int, int], ...]
    sample: Picture

    @property
    def piece_bytes(self) -> int:
        """As many as wanted."""
        return 0

    def pieces(self) -> Iterator[Picture]:
        """All rows."""
        bits = self.header[8] * CHANNELS[self.header[9]]
        line, pixel, top = -(-self.width * bits // 8), max(1, bits // 8), 0
        before = np.zeros(line, np.uint8)
        for block in self._blocks(1 + line, max(1, PIECE // (1 + line))):
            rows = np.empty((len(block), 1 + line), np.uint8)
            rows[:, 0] = 0
            if not unfilter(block, before, pixel, rows[:, 1:]):
                raise Damage("it cannot be decoded")
            before, top = rows[-1, 1:], top + len(rows)
            yield read_picture(_png(self.header, len(rows), self.others, rows.tobytes()), None, self.name)
        if top < self.height:
            raise Damage("it is cut short")

    def _blocks(self, line: int, count: int) -> Iterator[Array]:
        """Filtered rows, so many at once."""
        waiting, left, packed = bytearray(), self.height, self._packed()
        for part in _inflated(packed, line * count):
            waiting += part
            while (rows := min(count, left)) and len(waiting) >= rows * line:
                block = np.frombuffer(bytes(waiting[: rows * line]), np.uint8).reshape(rows, line)
                del waiting[: rows * line]
                left -= rows
                yield block
            if not left:
                for _ in packed:  # whose sums are to be right, too
                    pass
                return
        if rows := len(waiting) // line:
            yield np.frombuffer(bytes(waiting[: rows * line]), np.uint8).reshape(rows, line)

    def _packed(self) -> Iterator[bytes]:
        """What all IDAT hold, some at once: one of them may hold all."""
        with source_file(self.source) as file:
            for place, length in self.data:
                file.seek(place)
                total = zlib.crc32(b"IDAT")
                for at in range(0, length, READ):
                    content = file.read(min(READ, length - at))
                    total = zlib.crc32(content, total)
                    yield content
                given = file.read(4)
                if given != struct.pack(">I", total):
                    raise Damage("the sum of its IDAT is wrong" if len(given) == 4 else "it is cut short")


def _inflated(packed: Iterator[bytes], most: int) -> Iterator[bytes]:
    """A stream of deflate, at most so many bytes at once."""
    decoder = zlib.decompressobj()
    for content in packed:
        while content:
            try:
                yield decoder.decompress(content, most)
            except zlib.error:
                raise Damage("it cannot be decoded") from None
            content = decoder.unconsumed_tail


def _png(header: bytes, height: int, others: bytes, rows: bytes) -> bytes:
    """A PNG with the same header but for its height."""
    size = header[:4] + struct.pack(">I", height) + header[8:]
    return SIGNATURE + whole(b"IHDR", size) + others + whole(b"IDAT", zlib.compress(rows, 0)) + whole(b"IEND", b"")


def png_rows(source: Source, file: BinaryIO, name: object) -> PngRows | None:
    """A PNG that can be read by rows; None if it is turned, interlaced, an animation, or unknown."""
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return None
    data, chunks = _look(file)
    header = chunks[0][1] if chunks and chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13 else bytes(13)
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if kind not in CHANNELS or depth not in (1, 2, 4, 8, 16) or interlaced or not (data and width and height):
        return None
    if any(chunk[0] == b"acTL" for chunk in chunks):
        return None
    pixel = struct.pack(">II", 1, 1) + header[8:]
    one = zlib.compress(bytes(1 + -(-depth * CHANNELS[kind] // 8)))
    said = [whole(b"IHDR", pixel), *(part[2] for part in chunks[1:-1]), whole(b"IDAT", one), whole(b"IEND", b"")]
    scan(SIGNATURE + b"".join(part[2] for part in chunks))  # checks all sums
    small = SIGNATURE + b"".join(said)
    with opened(io.BytesIO(scan(small)[1])) as image:
        image.load()
        if image.getexif().get(ORIENTATION, 1) != 1:
            return None
    sample = read_picture(small, None, name)
    others = b"".join(part[2] for part in chunks if part[0] in PIXELS)
    return PngRows(source, name, width, height, header, others, tuple(data), sample)


def _look(file: BinaryIO) -> tuple[list[tuple[int, int]], list[tuple[bytes, bytes, bytes]]]:
    """Where the contents of IDAT are; and of all other chunks name, content, and the whole."""
    data, chunks, at = [], [], len(SIGNATURE)
    size = file.seek(0, os.SEEK_END)
    while at + 12 <= size:
        file.seek(at)
        head = file.read(8)
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        if at + 12 + length > size:
            break
        if name == b"IDAT":
            data.append((at + 8, length))
        elif not (data and name in EARLY):
            rest = file.read(length + 4)
            chunks.append((name, rest[:-4], head + rest))
        if name == b"IEND":
            return data, chunks
        at += 12 + length
    raise Damage("it is cut short")


class PngWriter:
    """Filters rows and compresses blocks of them, several at once; see `npbsrn.images.strips.base.Writer`.

    Each block is deflated by itself, and knows the end of the one before: together they are one stream. Blocks are of
    a fixed size, so that the bytes do not depend on how many threads there are.
    """

    def __init__(self, file: BinaryIO, page: Page, saving: Saving, threads: int | None) -> None:
        self.file, self.threads = file, threads or thread_count()
        depth = np.dtype(page.dtype).itemsize
        self.pixel, line = page.channels * depth, page.width * page.channels * depth
        self.rows = Stacked(max(1, PLANE // (1 + line)))
        self.before, self.history, self.sum = np.zeros(line, np.uint8), b"", 1
        self.strategy: int | None = None  # of zlib
        header = struct.pack(">IIBBBBB", page.width, page.height, 8 * depth, KINDS[page.channels], 0, 0, 0)
        write_all(file, SIGNATURE, whole(b"IHDR", header))
        for chunk in png_chunks(page.tags, page.width, page.height, saving):
            file.write(whole(*chunk))
        file.write(whole(b"IDAT", b"\x78\x9c"))

    def write(self, samples: Array) -> None:
        """Add rows."""
        self._put(self.rows.take(samples))

    def _put(self, blocks: list[Array]) -> None:
        for first in range(0, len(blocks), 4 * self.threads):  # so that not all that is compressed is kept at once
            work = [self._filtered(rows) for rows in blocks[first : first + 4 * self.threads]]
            if self.strategy is None:  # by the first rows alone: later ones are not there yet
                fast, dense = (len(_deflated(work[0], way)) for way in (zlib.Z_RLE, zlib.Z_FILTERED))
                self.strategy = zlib.Z_RLE if fast <= LARGER * dense else zlib.Z_FILTERED
            for packed in map_parallel(partial(_deflated, strategy=self.strategy), work, self.threads):
                self.file.write(whole(b"IDAT", packed))

    def _filtered(self, samples: Array) -> tuple[bytes, bytes]:
        """Filtered rows, and the end of what comes before them."""
        rows = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">")).reshape(len(samples), -1).view(np.uint8)
        out, history = np.empty((len(rows), 1 + rows.shape[1]), np.uint8), self.history
        filtered(rows, self.before, self.pixel, out)
        content = out.tobytes()
        self.before, self.sum = rows[-1].copy(), zlib.adler32(content, self.sum)
        self.history = (history + content[-HISTORY:])[-HISTORY:]
        return content, history

    def close(self) -> None:
        """Complete the file: an empty last block, and the sum of all."""
        self._put(self.rows.rest())
        write_all(self.file, whole(b"IDAT", b"\3\0" + struct.pack(">I", self.sum)), whole(b"IEND", b""))


def _deflated(work: tuple[bytes, bytes], strategy: int) -> bytes:
    """A part of a stream of deflate, ending with a whole byte; see `npbsrn.images.compression` for the strategy."""
    content, history = work
    coder = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy, history)
    return coder.compress(content) + coder.flush(zlib.Z_SYNC_FLUSH)
