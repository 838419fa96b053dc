"""Animations, frame by frame: each frame is encoded as a picture by itself, and put into the animation's container.

Pillow takes all frames of a WebP, PNG or GIF into memory before it writes the first.

References
----------
W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", section 11.3.6. Google, "WebP Container
Specification". CompuServe, "Graphics Interchange Format, Version 89a".
"""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from npbsrn.images import png
from npbsrn.images.compression import save_png
from npbsrn.images.embedding import png_chunks, webp_options
from npbsrn.images.palette import to_palette
from npbsrn.images.picture import Tags
from npbsrn.images.saving import QUALITY, Saving

Array = np.ndarray[Any, Any]

SOLID = 128  # alpha from which a pixel of a GIF is opaque
MOST_RUNS = 65535  # that WebP and GIF can say; more are said to be so many
LONGEST_DELAY = 65535  # of GIF, in hundredths of a second; of PNG, in units of its own


class Muxer(Protocol):
    """An animation that is being written."""

    def add(self, samples: Array, duration: float) -> None:
        """Add a frame: all of its pixels, (H, W, 4) uint8, and its milliseconds."""

    def close(self) -> None:
        """Complete the file."""


Muxers = Callable[[BinaryIO, int, int, int, Tags, Saving], Muxer]  # of a file, width, height, and how often it runs


def changed(previous: Array | None, samples: Array) -> tuple[slice, slice]:
    """The smallest rectangle of what differs, from even rows and columns on; at least a pixel."""
    if previous is None:
        return slice(0, len(samples)), slice(0, samples.shape[1])
    rows, columns = (np.flatnonzero(np.any(samples != previous, axis=axes)) for axes in ((1, 2), (0, 2)))
    if not len(rows):
        return slice(0, 1), slice(0, 1)
    top, left = int(rows[0]) // 2 * 2, int(columns[0]) // 2 * 2
    return slice(top, int(rows[-1]) + 1), slice(left, int(columns[-1]) + 1)


class Clock:
    """Durations in whole units of time, of which the sum is right."""

    def __init__(self, unit: float) -> None:
        self.unit, self.asked, self.given = unit, 0.0, 0

    def next(self, duration: float) -> int:
        """Units of the next frame, of so many milliseconds."""
        self.asked += duration
        units = round(self.asked / self.unit) - self.given
        self.given += units
        return units


class PngMuxer:
    """An animated PNG, of RGB and alpha."""

    def __init__(self, file: BinaryIO, width: int, height: int, loop: int, tags: Tags, saving: Saving) -> None:
        self.file, self.loop, self.count, self.number = file, loop, 0, 0
        self.previous: Array | None = None
        file.write(
            png.SIGNATURE + png.whole(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, png.RGB_ALPHA, 0, 0, 0))
        )
        for name, content in png_chunks(tags, width, height, saving):
            file.write(png.whole(name, content))
        self.control = file.tell()
        file.write(self._control())

    def _control(self) -> bytes:
        return png.whole(b"acTL", struct.pack(">II", self.count, self.loop))

    def _next(self) -> bytes:
        self.number += 1
        return struct.pack(">I", self.number - 1)

    def add(self, samples: Array, duration: float) -> None:
        """Add a frame: what has changed since the one before."""
        rows, columns = changed(self.previous, samples)
        part = samples[rows, columns]
        seconds = Fraction(duration / 1000).limit_denominator(1000)
        if seconds.numerator > LONGEST_DELAY:
            seconds = Fraction(min(round(seconds), LONGEST_DELAY))
        place = part.shape[1], part.shape[0], columns.start, rows.start, seconds.numerator, seconds.denominator, 0, 0
        self.file.write(png.whole(b"fcTL", self._next() + struct.pack(">IIIIHHBB", *place)))
        still = io.BytesIO()
        save_png(part, still)
        for name, content in png.chunks_of(still.getvalue()):
            if name == b"IDAT":
                self.file.write(
                    png.whole(*((b"IDAT", content) if not self.count else (b"fdAT", self._next() + content)))
                )
        self.previous, self.count = samples, self.count + 1

    def close(self) -> None:
        """Complete the file by its number of frames."""
        self.file.write(png.whole(b"IEND", b""))
        self.file.seek(self.control)
        self.file.write(self._control())
        self.file.seek(0, 2)


class WebpMuxer:
    """An animated WebP."""

    def __init__(self, file: BinaryIO, width: int, height: int, loop: int, tags: Tags, saving: Saving) -> None:
        self.file, self.clock = file, Clock(1)
        self.previous: Array | None = None
        lossless = tags.lossless and saving.quality is None
        self.how: dict[str, Any] = {"lossless": True} if lossless else {"quality": saving.quality or QUALITY}
        said = webp_options(tags, width, height, saving)
        self.rest = [(name, said[key]) for name, key in ((b"EXIF", "exif"), (b"XMP ", "xmp")) if said.get(key)]
        icc = said["icc_profile"]
        flags = 0x12 | (0x20 if icc else 0) | sum({b"EXIF": 8, b"XMP ": 4}[name] for name, _ in self.rest)
        file.write(b"RIFF" + bytes(4) + b"WEBP")
        self._write(b"VP8X", struct.pack("<I", flags) + _three(width - 1) + _three(height - 1))
        if icc:
            self._write(b"ICCP", icc)
        self._write(b"ANIM", struct.pack("<IH", 0, min(loop, MOST_RUNS)))

    def _write(self, name: bytes, content: bytes) -> None:
        self.file.write(name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2))

    def add(self, samples: Array, duration: float) -> None:
        """Add a frame: what has changed since the one before."""
        rows, columns = changed(self.previous, samples)
        part = samples[rows, columns]
        still, parts, at = _webp(part, **self.how), [], 12
        while at < len(still):
            (length,) = struct.unpack_from("<I", still, at + 4)
            end = at + 8 + length + length % 2
            if still[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
                parts.append(still[at:end])
            at = end
        place = columns.start // 2, rows.start // 2, part.shape[1] - 1, part.shape[0] - 1
        time = min(self.clock.next(duration), (1 << 24) - 1)
        self._write(
            b"ANMF", b"".join(_three(value) for value in (*place, time)) + b"\2" + b"".join(parts)
        )  # no blending
        self.previous = samples

    def close(self) -> None:
        """Complete the file by its length."""
        for name, content in self.rest:
            self._write(name, content)
        length = self.file.tell()
        self.file.seek(4)
        self.file.write(struct.pack("<I", length - 8))
        self.file.seek(0, 2)


class GifMuxer:
    """A GIF, of a palette for each frame."""

    def __init__(self, file: BinaryIO, width: int, height: int, loop: int, tags: Tags, saving: Saving) -> None:
        self.file, self.clock = file, Clock(10)
        self.previous: Array | None = None
        self.waiting: tuple[int, int, bytes] | None = None  # the frame before: until the next says whether it is to go
        file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
        if loop != 1:  # the extension says how often it runs again
            file.write(b"\x21\xff\x0bNETSCAPE2.0\3\1" + struct.pack("<HB", min(max(loop - 1, 0), MOST_RUNS), 0))
        if tags.comment and not saving.strip:
            file.write(b"\x21\xfe" + _blocks(tags.comment))

    def add(self, samples: Array, duration: float) -> None:
        """Add a frame, in which what has not changed is transparent."""
        alpha = samples[:, :, 3]
        clear = bool(np.any(alpha < SOLID))
        self._write(gone=clear)
        same = alpha < SOLID
        if not clear and self.previous is not None:
            same = np.all(samples == self.previous, axis=2)
        image, place = to_palette(samples[:, :, :3], same)
        self.waiting = min(self.clock.next(duration), LONGEST_DELAY), place, _frame_of(image)
        self.previous = samples

    def _write(self, gone: bool) -> None:
        if self.waiting:
            delay, place, frame = self.waiting
            flags = (2 if gone else 1) << 2 | 1
            self.file.write(b"\x21\xf9\4" + struct.pack("<BHBB", flags, delay, place, 0) + frame)

    def close(self) -> None:
        """Complete the file."""
        self._write(gone=False)
        self.file.write(b";")


def _frame_of(image: Image.Image) -> bytes:
    """Descriptor, palette and data of a palette image."""
    file = io.BytesIO()
    image.save(file, "GIF", optimize=False, interlace=0)  # which would change the palette
    data = file.getvalue()
    colours = 2 << (data[10] & 7)
    at = 13 + 3 * colours
    while data[at] != 0x2C:  # extensions
        at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    flags = 0x80 | (data[10] & 7)  # a palette of its own
    return data[at : at + 9] + bytes([flags]) + data[13 : 13 + 3 * colours] + data[at + 10 : -1]


def _blocks(content: bytes) -> bytes:
    parts = [content[at : at + 255] for at in range(0, len(content), 255)]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _webp(samples: Array, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(file, "WEBP", **options)
    return file.getvalue()


MUXERS: dict[str, Muxers] = {"PNG": PngMuxer, "WEBP": WebpMuxer, "GIF": GifMuxer}
