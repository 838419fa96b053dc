"""Picture files of every kind, changed: ``python -m tests.fuzz.pictures --runs 50000``.

Each is read, enlarged by bicubic interpolation, and written in another format, which must be readable again and hold
the same samples where the format loses nothing.
"""

import random
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from npbsrn.errors import NpbsrnError
from npbsrn.images.animation import write_frames
from npbsrn.images.fitting import fitted
from npbsrn.images.frames import Frame, read_frames
from npbsrn.images.layout import layout_at, layout_of
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.saving import Saving, provenance
from npbsrn.images.writing import write_picture
from npbsrn.inference.runners import Bicubic
from npbsrn.inference.upscaling import enlarge
from tests.fuzz.samples import seeds as seeds

SUFFIXES = (".png", ".jpg", ".webp", ".tif", ".bmp", ".ppm", ".pgm", ".gif", ".avif")
LOSSLESS = (".png", ".tif", ".bmp", ".ppm")
SAVINGS = (
    Saving(),
    Saving(background=(255, 255, 255), provenance=provenance("1", "a", 2, "b")),
    Saving(quality=50, background=(0, 0, 0)),
    Saving(strip=True),
)
MANY = 4  # frames that are read of an animation
FEW = 1 << 14  # pixels of pictures that are written, so that an input takes milliseconds
NUMBERS = (0, 1, 2, 3, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
CHUNKS = (b"IDAT", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"eXIf", b"gAMA", b"cHRM", b"pHYs", b"acTL",
          b"fcTL", b"fdAT", b"IEND", b"cICP", b"sRGB")  # fmt: skip
TAGS = (254, 256, 257, 258, 259, 262, 274, 277, 278, 282, 284, 317, 322, 323, 324, 325, 338, 339, 530, 700, 34675)
Basic = Callable[[bytes], bytes]


def run(data: bytes, folder: Path) -> str:
    """Read a file, and write what was read; its frames, too."""
    source = folder / "in"
    source.write_bytes(data)
    choice, expected = zlib.crc32(data), layout_at(source)
    try:
        picture = read_picture(source)
    except NpbsrnError:
        return "refused"
    _check(picture)
    if expected is not None:  # None: Pillow does not open it
        assert layout_of(picture).size <= expected.size, f"{layout_of(picture)} of a header that says {expected}"
    if picture.width * picture.height > FEW:
        return "read"
    said = _write(picture, folder, choice)
    frames = _frames(source)
    return said if len(frames) < 2 else _write_all(frames, folder, choice)


def _write(picture: Picture, folder: Path, choice: int) -> str:
    suffix, saving = SUFFIXES[choice % len(SUFFIXES)], SAVINGS[choice // 16 % len(SAVINGS)]
    if suffix == ".avif" and choice // 64 % 16:
        suffix = ".png"  # as AVIF takes long to write
    target = folder / f"out{suffix}"
    try:
        fits = fitted(picture, target, 2, saving)
        large = enlarge(fits, Bicubic(2)) if choice // 1024 % 3 == 0 else fits
        write_picture(large, target, saving=saving)
    except NpbsrnError:
        assert not target.exists(), "there is a file in spite of an error"
        return "not written"
    again = read_picture(target)
    assert (again.width, again.height) == (large.width, large.height), "another size is read than was written"
    if suffix in LOSSLESS and not large.grey and large.colour.dtype == again.colour.dtype:
        np.testing.assert_array_equal(again.colour, large.colour)
    return "written"


def _frames(source: Path) -> list[Frame]:
    """The first frames of an animation, or pages; none where they cannot be read."""
    try:
        several = read_frames(source)
        layout, frames = several.layout(), list(islice(several, MANY))
    except NpbsrnError:
        return []
    for frame in frames:
        _check(frame.picture)
        assert len(frames) < 2 or layout_of(frame.picture).size <= layout.size, f"{layout} is said of a larger frame"
        assert frame.duration >= 0, frame.duration
    return frames


def _write_all(frames: list[Frame], folder: Path, choice: int) -> str:
    if any(frame.picture.width * frame.picture.height > FEW for frame in frames):
        return "read frames"
    target = folder / ("all.tif", "all.gif", "all.webp", "all.png")[choice % 4]
    try:
        fits = [replace(frame, picture=fitted(frame.picture, target)) for frame in frames]
        write_frames(fits, target)
    except NpbsrnError:
        assert not target.exists(), "there is a file in spite of an error"
        return "frames not written"
    again = list(read_frames(target))
    assert again[0].picture.width == frames[0].picture.width, "another size is read than was written"
    return "frames written"


def _check(picture: Picture) -> None:
    assert picture.colour.dtype in (np.uint8, np.uint16, np.float32), picture.colour.dtype
    assert picture.colour.ndim in (2, 3), picture.colour.shape
    assert picture.colour.size > 0, picture.colour.shape
    assert picture.grey or picture.colour.shape[2] == 3, picture.colour.shape
    if picture.alpha is not None:
        assert picture.alpha.shape == picture.colour.shape[:2], picture.alpha.shape
        assert picture.alpha.dtype == picture.colour.dtype, picture.alpha.dtype
    if picture.colour.dtype == np.float32:
        assert picture.colour.min() >= 0, "below 0"
        assert picture.colour.max() <= 1, "above 1"


def mutate(data: bytes, rng: random.Random, basic: Basic) -> bytes:
    """Change a file, mostly so that sums and lengths still hold: otherwise few changes would reach a decoder."""
    if rng.random() < 0.2:
        return basic(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _changed_png(data, rng, basic)
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _changed_tiff(data, rng) if rng.random() < 0.5 else basic(data)
    if rng.random() < 0.3:
        return _with_number(data, rng)
    return basic(data)


def _changed_png(data: bytes, rng: random.Random, basic: Basic) -> bytes:
    """Change, add, drop or move a chunk; of packed ones what is packed."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return basic(data)
    n = rng.randrange(len(chunks))
    name, content = chunks[n]
    match rng.randrange(6):
        case 0:
            chunks.insert(n, (rng.choice(CHUNKS), basic(content)))
        case 1:
            del chunks[n]
        case 2:
            chunks.append(chunks.pop(n))
        case 3:
            chunks[n] = rng.choice(CHUNKS), content
        case 4 if name in (b"IDAT", b"fdAT", b"iCCP", b"zTXt"):
            chunks[n] = name, _repacked(content, basic)
        case 5 if len(content) >= 4:
            chunks[n] = name, _with_number(content, rng)
        case _:
            chunks[n] = name, basic(content)
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return data[:8] + b"".join(parts)


def _repacked(content: bytes, basic: Basic) -> bytes:
    at = max(content.find(b"\x78"), 0)
    try:
        return content[:at] + zlib.compress(basic(zlib.decompressobj().decompress(content[at:], 1 << 16)))
    except zlib.error:
        return basic(content)


def _changed_tiff(data: bytes, rng: random.Random) -> bytes:
    """Change a field of an entry of the first directory: tag, type, count, or value."""
    order = "<" if data[:1] == b"I" else ">"
    (start,) = struct.unpack_from(order + "I", data.ljust(8, b"\0"), 4)
    if start + 2 > len(data):
        return _with_number(data, rng)
    (count,) = struct.unpack_from(order + "H", data, start)
    at = start + 2 + 12 * rng.randrange(max(count, 1))
    if at + 12 > len(data):
        return _with_number(data, rng)
    changed = bytearray(data)
    match rng.randrange(4):
        case 0:
            struct.pack_into(order + "H", changed, at, rng.choice(TAGS))
        case 1:
            struct.pack_into(order + "H", changed, at + 2, rng.randrange(20))
        case 2:
            struct.pack_into(order + "I", changed, at + 4, rng.choice(NUMBERS))
        case _:
            number = rng.choice((*NUMBERS, rng.randrange(70), 32773, 32946, 50000, 34925, 50001, 34712, 34887))
            form = "H" if struct.unpack_from(order + "H", data, at + 2)[0] == 3 else "I"
            struct.pack_into(order + form, changed, at + 8, number & (0xFFFF if form == "H" else 0xFFFFFFFF))
    return bytes(changed)


def _with_number(data: bytes, rng: random.Random) -> bytes:
    """Put a number that is often not thought of somewhere, mostly in a header."""
    form = rng.choice(("<I", ">I", "<H", ">H", "B"))
    size = struct.calcsize(form)
    if len(data) < size:
        return data + bytes(size)
    changed = bytearray(data)
    at = rng.randrange(min(len(data) - size + 1, rng.choice((32, 256, 1 << 16))))
    struct.pack_into(form, changed, at, rng.choice(NUMBERS) & (256**size - 1))
    return bytes(changed)


if __name__ == "__main__":
    from tests.fuzz.guided import main

    sys.exit(main("tests.fuzz.pictures"))
