"""What a file says of its picture: profile, EXIF, XMP, IPTC, texts, resolution."""

import re
import struct
from typing import Any, BinaryIO

from PIL import Image

from npbsrn.images import colour, png
from npbsrn.images.directory import DETAILS, INTEROP, LONG8, PLACE, Entry, Exif, Read, pages_of, read_at, read_exif
from npbsrn.images.picture import Tags

# Tags of the picture in EXIF's first directory; others of it belong to the file's format, or say how the file is to be
# turned or how large it is.
DESCRIPTIVE = (
    269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 18246, 18249, 40091, 40092, 40093, 40094, 40095,
)  # fmt: skip
WIDTH, HEIGHT = 256, 257
DESCRIPTION, ORIENTATION, XMP, IPTC, RESOURCES, SOFTWARE = 270, 274, 700, 33723, 34377, 305
KIND, REDUCED, MASK = 254, 1, 4  # tag of TIFF: what a picture is for, and the bits of a preview and of a mask
ACROSS, DOWN, UNIT = 282, 283, 296
CENTIMETRE, INCHES = 3, 2.54  # of resolution: the unit, and how many are in an inch
PADDING = 0xEA1C  # which Windows leaves in EXIF
RELATED = (4096, 4097, 4098)  # in the directory of interoperability: file and extents of another picture
# In XMP. The look-behinds and the look-ahead let a long run of spaces, or of beginnings without an end, be looked
# through once, and not once for each of them.
TURN = re.compile(rb'(?<!\s)\s*tiff:Orientation\s*=\s*["\'][^"\']*["\']|<tiff:Orientation>[^<]*</tiff:Orientation>')
SMALL = re.compile(rb"<(xmp|xap):Thumbnails>(?:(?!<x[ma]p:Thumbnails>).)*?</\1:Thumbnails>", re.DOTALL)
MORE = re.compile(rb'(?<!\s)\s*xmpNote:HasExtendedXMP\s*=\s*["\'][^"\']*["\']')  # which is not read
IPTC_RESOURCE = 0x0404


def described(image: Image.Image, grey: bool, facts: png.Facts | None = None, exif: Exif | None = None) -> Tags:
    """The tags of an image, which is turned upright: what says how to turn it is left out.

    Parameters
    ----------
    image : Pillow image
    grey : bool
        Whether the samples are grey; a profile of another kind is left out.
    facts : Facts, optional
        What the PNG says that it was read from.
    exif : Exif, optional
        All tags of the TIFF that it was read from.
    """
    icc = facts.icc if facts else image.info.get("icc_profile")
    xmp = facts.xmp if facts else image.info.get("xmp")
    iptc = (facts.raw.get(b"iptc") or facts.raw.get(b"8bim")) if facts else None
    comment = None if facts else image.info.get("comment")
    if exif:
        return of_tiff(exif, grey)
    block = image.info.get("exif")
    exif = read_exif(block) if isinstance(block, bytes) else None
    if facts and exif is None:
        exif = read_exif(facts.raw.get(b"exif") or facts.raw.get(b"APP1") or b"")
    resources = image.info.get("photoshop")
    in_exif = resolution_of(exif) if exif else None
    resolution = _dpi_of(image) or in_exif
    if image.format in ("JPEG", "MPO"):  # in which cameras say it, where other programs add a 72 that nobody chose
        resolution = in_exif or resolution
    return Tags(
        icc=colour.fitting(icc, grey),
        chunks=facts.chunks if facts else _chunks_of(image),
        exif=kept_entries(exif),
        xmp=upright(xmp),
        iptc=iptc_in(iptc) if iptc else _bytes(resources.get(IPTC_RESOURCE)) if isinstance(resources, dict) else None,
        texts=facts.texts if facts else (),
        comment=_bytes(comment),
        dpi=resolution,
    )


def of_tiff(exif: Exif, grey: bool) -> Tags:
    """Tags by those of a TIFF's page."""

    def content(tag: int) -> bytes | None:
        entry = exif.entries.get(tag)
        return entry.data if isinstance(entry, Entry) else None

    # IPTC was often written as whole numbers of the file's order, although it is bytes: what readers take it for
    iptc, resources = content(IPTC), content(RESOURCES)
    return Tags(
        icc=colour.fitting(content(34675), grey),
        exif=kept_entries(exif),
        xmp=upright(content(XMP)),
        iptc=iptc or (iptc_in(resources) if resources else None),
        dpi=resolution_of(exif),
    )


def _reader(file: BinaryIO) -> Read:
    """What `npbsrn.images.directory` reads a file by."""

    def read(at: int, length: int) -> bytes:
        file.seek(at)
        return file.read(length)

    return read


def exif_of_tiff(file: BinaryIO) -> Exif | None:
    """All tags of a TIFF's first page."""
    exif = read_at(_reader(file), None)
    file.seek(0)
    return exif


def orientation_of(exif: Exif) -> int:
    """How a TIFF's page is to be turned, 1 to 8: by its own tag, else by its XMP; 1 where neither says it."""
    own, xmp = exif.numbers(exif.entries.get(ORIENTATION)), exif.entries.get(XMP)
    if own:
        return own[0] if own[0] in range(1, 9) else 1
    return orientation_in(xmp.data) if isinstance(xmp, Entry) else 1


def orientation_in(xmp: bytes) -> int:
    """How XMP says that a picture is to be turned, 1 to 8; 1 where it does not."""
    said = TURN.search(xmp)
    number = re.search(rb'["\'>]\s*([1-8])\s*["\'<]', said[0]) if said else None
    return int(number[1]) if number else 1


def extents_of_tiff(file: BinaryIO, at: int | None = None) -> tuple[int, int] | None:
    """Width and height of a TIFF's page, of `pages_of_tiff`, or of its first; None where they are not to be read."""
    exif = read_at(_reader(file), at, (WIDTH, HEIGHT))
    if exif is None:
        return None
    width, height = (exif.numbers(exif.entries.get(tag)) for tag in (WIDTH, HEIGHT))
    return (width[0], height[0]) if width and height else None


def pages_of_tiff(file: BinaryIO) -> list[int]:
    """Where those of a TIFF's directories are that hold pictures, and not previews of others or masks of transparency.

    A `Page` shows each as the first.
    """

    def aside(at: int) -> bool:
        exif = read_at(_reader(file), at, (KIND,))
        return exif is not None and bool((*exif.numbers(exif.entries.get(KIND)), 0)[0] & (REDUCED | MASK))

    pages = [at for at in pages_of(_reader(file)) if not aside(at)]
    file.seek(0)
    return pages


def _bytes(value: Any) -> bytes | None:
    return value if isinstance(value, bytes) and value else None


def bare(tags: Tags) -> Tags:
    """Tags without anything but what gives the samples their colour, and how they are coded."""
    return Tags(icc=tags.icc, chunks=tags.chunks, lossless=tags.lossless)


def _chunks_of(image: Image.Image) -> tuple[png.Chunk, ...]:
    """gAMA of a PNG that Pillow has opened."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or not 0 < gamma < 40000:
        return ()
    return ((b"gAMA", round(gamma * 100000).to_bytes(4, "big")),)


def upright(xmp: Any) -> bytes | None:
    """XMP without what says how to turn the picture, and without thumbnails; None where there is no XMP."""
    if not isinstance(xmp, bytes) or not xmp:
        return None
    for pattern in (TURN, SMALL, MORE):
        xmp = pattern.sub(b"", xmp)
    return xmp


def kept_entries(exif: Exif | None) -> Exif | None:
    """What EXIF says of the picture, and not of its file; None where that is nothing."""
    if exif is None:
        return None
    kept: dict[int, Any] = {
        tag: entry
        for tag, entry in exif.entries.items()
        if tag in DESCRIPTIVE and not (isinstance(entry, Entry) and entry.kind == LONG8)
    }
    if isinstance(text := kept.get(DESCRIPTION), Entry) and text.data.startswith(b'{"shape"'):
        del kept[DESCRIPTION]  # what tifffile notes of an array's extents, which change
    details = {tag: entry for tag, entry in exif.entries.get(DETAILS, {}).items() if tag != PADDING}
    if inside := details.get(INTEROP):
        details[INTEROP] = {tag: entry for tag, entry in inside.items() if tag not in RELATED}
    kept |= {tag: inside for tag, inside in ((DETAILS, details), (PLACE, exif.entries.get(PLACE))) if inside}
    return Exif(exif.order, kept, exif.note_at) if kept else None


def resolution_of(exif: Exif) -> tuple[float, float] | None:
    """Pixels an inch by EXIF or by a TIFF's tags; None where they say nothing, or nothing but a ratio."""
    across, down = (exif.numbers(exif.entries.get(tag)) for tag in (ACROSS, DOWN))
    unit = (*exif.numbers(exif.entries.get(UNIT)), 2)[0]
    if unit not in (2, CENTIMETRE) or len(across) != 2 or len(down) != 2 or not (across[1] and down[1]):
        return None
    inch = INCHES if unit == CENTIMETRE else 1
    return _sane(across[0] / across[1] * inch, down[0] / down[1] * inch)


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return _sane(across, down)


def _sane(across: float, down: float) -> tuple[float, float] | None:
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def iptc_in(resources: bytes) -> bytes | None:
    """IPTC in Photoshop's resources, or by itself.

    References
    ----------
    Adobe, "Photoshop File Formats Specification", image resource blocks.
    """
    resources = resources.removeprefix(b"Photoshop 3.0\0")
    if resources.startswith(b"\x1c"):
        return resources
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        number, named = struct.unpack_from(">HB", resources, at + 4)
        at += 6 + named + 1 + (named + 1) % 2
        length = int.from_bytes(resources[at : at + 4], "big")
        if number == IPTC_RESOURCE:
            return resources[at + 4 : at + 4 + length] or None
        at += 4 + length + length % 2
    return None
