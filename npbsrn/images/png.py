"""PNG chunks that Pillow ignores or cannot read.

Pillow neither checks the checksums of a picture's data nor keeps the colour chunks, and treats a file with long texts
as damaged.

References
----------
W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", sections 5 and 11.
"""

import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from npbsrn.images.opening import Damage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Chunks on colour, and their lengths; iCCP is read by itself. They and tRNS stand before the pixels, or say nothing.
COLOUR = {b"cICP": 4, b"mDCV": 24, b"cLLI": 8, b"cHRM": 32, b"gAMA": 4, b"sRGB": 1}
EARLY = {*COLOUR, b"tRNS"}
TEXT = (b"tEXt", b"zTXt", b"iTXt")
XMP, RAW = b"XML:com.adobe.xmp", b"Raw profile type "  # keywords of texts that are read
THUMBNAIL = b"Thumb::"  # keyword of what file managers note of the file that a thumbnail stands for
LONGEST_TEXT = 1 << 16  # bytes in the file, of those that a decoder is to see
LARGEST_TEXT = 1 << 24  # bytes, of those that are read
HEX = re.compile(rb"\s*(\w+)\s+(\d+)\s+([0-9a-fA-F\s]*)")  # of a raw profile: name, bytes, content
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
    texts : tuple of (name, data)
        Chunks of text, but for XMP and raw profiles.
    raw : dict of bytes to bytes
        Raw profiles, by which ImageMagick and exiftool keep in texts what had no chunk of its own: "exif", "iptc".
    """

    depth: int
    colour_type: int
    transparent: tuple[int, ...] = ()
    chunks: tuple[Chunk, ...] = ()
    icc: bytes | None = None
    xmp: bytes | None = None
    texts: tuple[Chunk, ...] = ()
    raw: Mapping[bytes, bytes] = field(default_factory=dict)


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
    kept, texts, read = [SIGNATURE], [], {}
    for name, content, chunk in _chunks(data):
        if name in TEXT:
            keyword = keyword_of(content)
            if keyword == XMP or keyword.startswith(RAW):
                read[keyword] = text_in(name, content)
            elif 0 < len(keyword) < 80 and not keyword.startswith(THUMBNAIL):
                texts.append((name, content))
            if not _is_seen(content):
                continue
        between = b"IHDR" in found and b"IDAT" not in found
        if name in EARLY and not (between and len(content) == COLOUR.get(name, len(content))):
            continue
        found.setdefault(name, content)
        if name != b"iCCP":
            kept.append(chunk)
    if len(found.get(b"IHDR", b"")) != 13:
        raise Damage("its header is missing")
    depth, colour_type = found[b"IHDR"][8], found[b"IHDR"][9]
    key = found.get(b"tRNS", b"") if colour_type in (GREY, RGB) else b""
    facts = Facts(
        depth,
        colour_type,
        struct.unpack(f">{len(key) // 2}H", key[: len(key) // 2 * 2]),
        tuple((name, found[name]) for name in COLOUR if name in found),
        _profile(found.get(b"iCCP")),
        read.get(XMP) or None,
        tuple(texts),
        {keyword[len(RAW) :]: raw for keyword, profile in read.items() if (raw := _raw_profile(profile))},
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
            raise Damage(f"the sum of its {name.decode('ascii', 'replace')} is wrong")
        yield name, content, data[at:end]
        if name == b"IEND":
            return
        at = end
    raise Damage("it is cut short")


def is_animated(file: BinaryIO) -> bool:
    """Whether a PNG says, before its picture, that it is an animation; nothing else is looked at."""
    file.seek(len(SIGNATURE))
    while len(head := file.read(8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name in (b"acTL", b"IDAT", b"IEND"):
            return bool(name == b"acTL")
        file.seek(length + 4, 1)
    return False


def _is_seen(text: bytes) -> bool:
    """Whether a text may say how the picture is to be turned; ImageMagick keeps EXIF in one."""
    return text.startswith((XMP, RAW)) and len(text) < LONGEST_TEXT


def keyword_of(content: bytes) -> bytes:
    """The keyword of a chunk of text; empty where there is none."""
    keyword, end, _ = content.partition(b"\0")
    return keyword if end else b""


def text_in(name: bytes, content: bytes) -> bytes:
    """The text of a chunk; empty where it is damaged, or very long."""
    _, _, text = content.partition(b"\0")
    packed = name == b"zTXt"
    if packed:
        text = text[1:]
    elif name == b"iTXt":
        packed = text[:1] == b"\1"
        text = text[2:].partition(b"\0")[2].partition(b"\0")[2]  # behind language, and translated keyword
    if packed:
        decoder = zlib.decompressobj()
        try:
            text = decoder.decompress(text, LARGEST_TEXT)
        except zlib.error:
            return b""
        return text if decoder.eof else b""
    return text


def _raw_profile(text: bytes) -> bytes | None:
    match = HEX.match(text)
    digits = b"".join(match[3].split()) if match else b""
    return bytes.fromhex(digits.decode()) if match and digits and len(digits) == 2 * int(match[2]) else None


def as_raw_profile(name: bytes, content: bytes) -> bytes:
    """A profile as the text of a chunk."""
    digits = content.hex().encode()
    lines = (digits[at : at + 72] for at in range(0, len(digits), 72))
    return b"\n%s\n%8d\n%s\n" % (name, len(content), b"\n".join(lines))


def text(keyword: str, content: str) -> Chunk:
    """A chunk of text: in Latin-1 where that is enough, as more programs read it."""
    try:
        return b"tEXt", keyword.encode("latin-1") + b"\0" + content.encode("latin-1")
    except UnicodeEncodeError:
        return b"iTXt", keyword.encode("latin-1", "replace") + bytes(5) + content.encode("utf-8", "replace")


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


def chunks_of(data: bytes) -> Iterator[Chunk]:
    """Name and content of each chunk of a whole PNG.

    Raises
    ------
    ValueError
        As `scan`.
    """
    return ((name, content) for name, content, _ in _chunks(data))


class BehindHeader:
    """A file to which an encoder writes a PNG, and which puts more chunks behind its header.

    Parameters
    ----------
    file : binary file, open for writing
    chunks : iterable of (name, data)
    """

    def __init__(self, file: BinaryIO, chunks: Iterable[Chunk]) -> None:
        self.file, self.chunks, self.left = file, list(chunks), len(SIGNATURE) + 25

    def write(self, data: bytes) -> int:
        """Write on."""
        length = len(data)
        if self.left:
            head, data = data[: self.left], data[self.left :]
            self.file.write(head)
            self.left -= len(head)
            if not self.left:
                self.file.write(b"".join(whole(name, content) for name, content in self.chunks))
        self.file.write(data)
        return length

    def flush(self) -> None:
        """Hand on what is buffered."""
        self.file.flush()


def whole(name: bytes, content: bytes) -> bytes:
    """A chunk with its length and sum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
