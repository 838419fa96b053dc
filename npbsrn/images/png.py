"""PNG chunks that Pillow ignores or cannot read.

Pillow neither checks the checksums of a picture's data nor keeps the colour chunks, and treats a file with long texts
as damaged.

References
----------
W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5 and 11.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR = (b"cICP", b"mDCV", b"cLLI", b"cHRM", b"gAMA", b"sRGB")  # iCCP is read by itself
TEXT = (b"tEXt", b"zTXt", b"iTXt")
XMP, EXIF = b"XML:com.adobe.xmp", b"Raw profile type "  # keywords of texts that are read
LONGEST_TEXT = 1 << 16  # bytes in the file, of those
LARGEST_PROFILE = 1 << 26  # bytes
GREY, RGB, GREY_ALPHA, RGB_ALPHA = 0, 2, 4, 6  # colour types

Chunk = tuple[bytes, bytes]


@dataclass(frozen=True)
class Facts:
    """What a PNG says of itself.

    Parameters
    ----------
    depth : int
        Bits of a sample.
    colour_type : int
    transparent : tuple of int
        The grey or the colour that stands for transparent, as samples of `depth` bits; empty without one.
    chunks : tuple of (name, data)
        Those on colour.
    icc, xmp : bytes, optional
    """

    depth: int
    colour_type: int
    transparent: tuple[int, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    icc: bytes | None = None
    xmp: bytes | None = None


def scan(data: bytes) -> tuple[Facts, bytes]:
    """Read a PNG's chunks.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    facts : Facts
    plain : bytes
        The file without colour profile and most texts, for decoders.

    Raises
    ------
    ValueError
        If the file ends early, or a sum of what the picture is made of is wrong.
    """
    found: dict[bytes, bytes] = {}
    kept, xmp = [SIGNATURE], None
    for name, content, whole in _chunks(data):
        if name in TEXT:
            if name == b"iTXt" and content.startswith(XMP + bytes(5)):
                xmp = content[len(XMP) + 5 :]
            if not _is_read(content):
                continue
        found.setdefault(name, content)
        if name != b"iCCP":
            kept.append(whole)
    if len(found.get(b"IHDR", b"")) != 13:
        raise ValueError("its header is missing")
    depth, colour_type = found[b"IHDR"][8], found[b"IHDR"][9]
    key = found.get(b"tRNS", b"") if colour_type in (GREY, RGB) else b""
    facts = Facts(
        depth,
        colour_type,
        struct.unpack(f">{len(key) // 2}H", key[: len(key) // 2 * 2]),
        tuple((name, found[name]) for name in COLOUR if name in found),
        _profile(found.get(b"iCCP")),
        xmp,
    )
    return facts, b"".join(kept)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Name, content, and the whole of each chunk up to IEND."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 12 + length
        if end > len(data):
            break
        name, content = data[at + 4 : at + 8], data[at + 8 : end - 4]
        critical = not name[0] & 32 or name == b"tRNS"
        if critical and struct.unpack_from(">I", data, end - 4)[0] != zlib.crc32(data[at + 4 : end - 4]):
            raise ValueError(f"the sum of its {name.decode('ascii', 'replace')} is wrong")
        yield name, content, data[at:end]
        if name == b"IEND":
            return
        at = end
    raise ValueError("it ends before its end")


def _is_read(text: bytes) -> bool:
    """Whether a text may say how the picture is to be turned; ImageMagick keeps EXIF in one."""
    return text.startswith((XMP, EXIF)) and len(text) < LONGEST_TEXT


def _profile(content: bytes | None) -> bytes | None:
    """The profile of an iCCP chunk; None where it is damaged, as decoders have it."""
    name, _, packed = (content or b"").partition(b"\0")
    if not name or not packed:
        return None
    decoder = zlib.decompressobj()
    try:
        profile = decoder.decompress(packed[1:], LARGEST_PROFILE)
    except zlib.error:
        return None
    return profile if decoder.eof else None


def before_data(data: bytes) -> list[Chunk]:
    """The chunks of a PNG file between its header and its data."""
    chunks = [(name, content) for name, content, _ in _chunks(data)]
    names = [name for name, _ in chunks]
    return chunks[1 : names.index(b"IDAT")]


def with_chunks(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """A PNG file with more chunks behind its header."""
    end = len(SIGNATURE) + 25
    added = (
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    return b"".join([data[:end], *added, data[end:]])
