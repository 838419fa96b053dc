"""What each format is told of a picture beside its samples."""

import re
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from npbsrn.images import png
from npbsrn.images.directory import (
    ASCII,
    BYTE,
    DETAILS,
    LONG,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Directory,
    Entry,
    Exif,
)
from npbsrn.images.directory_writing import block_of
from npbsrn.images.metadata import ACROSS, DOWN, IPTC, IPTC_RESOURCE, SOFTWARE, UNIT, XMP
from npbsrn.images.picture import Tags
from npbsrn.images.saving import Saving

EXTENTS = (0xA002, 0xA003)  # in EXIF's own directory: width and height
INCH = 2  # unit of resolution
METRES = 0.0254  # in an inch
XMP_EXTENTS = (b"(?:PixelXDimension|ImageWidth)", b"(?:PixelYDimension|ImageLength|ImageHeight)")
POSITIONING, CENTRED = 531, 1  # of coarser colours in a JPEG, which its EXIF must say; libjpeg centres them
FINEST = 10000  # the largest denominator of a resolution


def as_rational(value: float) -> tuple[int, int]:
    """Numerator and denominator of a resolution, both below 2**32."""
    share = Fraction(value).limit_denominator(max(1, min(FINEST, int((2**32 - 2) / value))))
    return share.numerator, share.denominator


def exif_block(tags: Tags, width: int, height: int, saving: Saving) -> bytes | None:
    """A block of EXIF for a picture of these extents; None where there is nothing to say."""
    exif = _exif(tags, width, height, saving)
    if exif is None:
        return None
    return block_of(exif)


def _exif(tags: Tags, width: int, height: int, saving: Saving, resolution: bool = True) -> Exif | None:
    """EXIF with the extents, the resolution and the software of the picture that it goes with."""
    exif = tags.exif or Exif()
    entries: Directory = dict(exif.entries)
    if details := entries.get(DETAILS):
        sized = zip(EXTENTS, (width, height), strict=True)
        entries[DETAILS] = details | {tag: exif.entry(LONG, extent) for tag, extent in sized if tag in details}
    if saving.provenance and not saving.strip:
        entries[SOFTWARE] = Entry(ASCII, in_one_line(saving.provenance).encode("ascii", "replace") + b"\0")
    if tags.dpi and resolution:
        across, down = map(as_rational, tags.dpi)
        entries[ACROSS] = exif.entry(RATIONAL, *across)
        entries[DOWN] = exif.entry(RATIONAL, *down)
        entries[UNIT] = exif.entry(SHORT, INCH)
    return replace(exif, entries=entries) if entries else None


def in_one_line(provenance: Mapping[str, str]) -> str:
    """How a picture came about: software first, and the rest by name."""
    rest = (f"{name} {value}" for name, value in provenance.items() if name != "Software")
    return "; ".join([*([provenance["Software"]] if "Software" in provenance else []), *rest])


def resized_xmp(xmp: bytes, width: int, height: int) -> bytes:
    """XMP with the extents of the picture that it goes with, where it has any."""
    for name, extent in zip(XMP_EXTENTS, (width, height), strict=True):
        value = str(extent).encode()
        xmp = re.sub(rb"((?:tiff|exif):" + name + rb'\s*=\s*["\'])\d+(?=["\'])', rb"\g<1>" + value, xmp)
        xmp = re.sub(rb"(<(?:tiff|exif):" + name + rb">)\d+(?=<)", rb"\g<1>" + value, xmp)
    return xmp


def png_chunks(tags: Tags, width: int, height: int, saving: Saving) -> list[png.Chunk]:
    """All that a PNG says beside its samples, in an order that its standard allows right behind the header."""
    chunks = list(tags.chunks)
    if tags.icc:
        chunks = [part for part in chunks if part[0] != b"sRGB"]  # only one of the two may be there
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(tags.icc, 9)))
    if tags.dpi:
        chunks.append((b"pHYs", struct.pack(">IIB", *(round(value / METRES) for value in tags.dpi), 1)))
    if block := exif_block(tags, width, height, _without_provenance(saving)) if tags.exif else None:
        chunks.append((b"eXIf", block))
    if tags.xmp:
        chunks.append((b"iTXt", png.XMP + bytes(5) + resized_xmp(tags.xmp, width, height)))
    if tags.iptc:
        packed = zlib.compress(png.as_raw_profile(b"iptc", resource(tags.iptc)))
        chunks.append((b"zTXt", png.RAW + b"iptc\0\0" + packed))
    texts = [] if saving.strip else _texts(saving.provenance or {})
    own = {png.keyword_of(content) for _, content in texts}
    return [*chunks, *(part for part in tags.texts if png.keyword_of(part[1]) not in own), *texts]


def _without_provenance(saving: Saving) -> Saving:
    """A PNG says it in texts; EXIF that comes from a camera keeps the camera's software."""
    return replace(saving, provenance=None)


def _texts(provenance: Mapping[str, str]) -> list[png.Chunk]:
    named = ((name if name == "Software" else f"npbsrn:{name}", value) for name, value in provenance.items())
    return [png.text(name, value) for name, value in named]


def resource(iptc: bytes) -> bytes:
    """IPTC as one of Photoshop's resources."""
    head = b"8BIM" + struct.pack(">HHI", IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)


def jpeg_options(tags: Tags, width: int, height: int, saving: Saving) -> dict[str, Any]:
    """For Pillow's JPEG."""
    options: dict[str, Any] = {"icc_profile": tags.icc}
    if tags.dpi:
        options["dpi"] = tags.dpi
    if tags.comment:
        options["comment"] = tags.comment
    if tags.iptc:
        content = b"Photoshop 3.0\0" + resource(tags.iptc)
        options["extra"] = b"\xff\xed" + struct.pack(">H", len(content) + 2) + content
    if tags.xmp:
        options["xmp"] = resized_xmp(tags.xmp, width, height)
    if block := _block_if_said(tags, width, height, saving):
        options["exif"] = b"Exif\0\0" + block
    return options


def webp_options(tags: Tags, width: int, height: int, saving: Saving) -> dict[str, Any]:
    """For Pillow's WebP and AVIF, whose resolution is EXIF's."""
    options: dict[str, Any] = {"icc_profile": tags.icc}
    if tags.xmp:
        options["xmp"] = resized_xmp(tags.xmp, width, height)
    if block := exif_block(tags, width, height, saving):
        options["exif"] = block
    return options


def _block_if_said(tags: Tags, width: int, height: int, saving: Saving) -> bytes | None:
    """EXIF where it says more than the resolution, for which a JPEG has a place of its own."""
    exif = _exif(tags, width, height, saving)
    if exif is None or not exif.entries.keys() - {ACROSS, DOWN, UNIT}:
        return None
    return block_of(replace(exif, entries=exif.entries | {POSITIONING: exif.entry(SHORT, CENTRED)}))


def tiff_entries(tags: Tags, width: int, height: int, saving: Saving) -> Exif:
    """What a TIFF's page says beside what its encoder writes: all but samples, resolution and profile."""
    exif = _exif(tags, width, height, saving, resolution=False) or Exif()
    entries = dict(exif.entries)
    if tags.xmp:
        entries[XMP] = Entry(BYTE, resized_xmp(tags.xmp, width, height))
    if tags.iptc:
        entries[IPTC] = Entry(UNDEFINED, tags.iptc)
    return replace(exif, entries=entries)


def too_long(tags: Tags, longest: int, saving: Saving) -> tuple[Tags, list[str]]:
    """Tags without what is longer than a format can hold, and the names of that."""
    lengths = {
        "exif": len(exif_block(tags, 1, 1, saving) or b"") if tags.exif else 0,
        "xmp": len(tags.xmp or b""),
        "iptc": len(tags.iptc or b""),
        "comment": len(tags.comment or b""),
    }
    names = [name for name, length in lengths.items() if length > longest]
    nothing: dict[str, Any] = dict.fromkeys(names)
    return replace(tags, **nothing), names
