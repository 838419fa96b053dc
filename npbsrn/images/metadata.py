"""A file's metadata: profile, EXIF, XMP, resolution."""

import re
from typing import Any

from PIL import Image

from npbsrn.images import colour, png
from npbsrn.images.picture import Tags

# EXIF's tags of the picture; others of the first directory belong to the file's format, or say how the file is to be
# turned or how large it is.
DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 33432, 18246, 18249, 40091, 40092, 40093, 40094, 40095)
DESCRIPTION, ORIENTATION, XMP = 270, 274, 700
DETAILS, PLACE = 0x8769, 0x8825  # directories: EXIF's own, and GPS
TURN = re.compile(rb'\s*tiff:Orientation\s*=\s*["\'][^"\']*["\']|<tiff:Orientation>[^<]*</tiff:Orientation>')  # in XMP
EXTENTS = (0xA002, 0xA003)  # in EXIF's own: width and height


def described(image: Image.Image, grey: bool, facts: png.Facts | None) -> Tags:
    """The tags of an image, which is turned upright: what says how to turn it is left out.

    Parameters
    ----------
    image : Pillow image
    grey : bool
        Whether the samples are grey; a profile of another kind is left out.
    facts : Facts, optional
        What the PNG says that it was read from.
    """
    icc = facts.icc if facts else image.info.get("icc_profile")
    xmp = facts.xmp if facts else image.info.get("xmp")
    if xmp is None:
        xmp = getattr(image, "tag_v2", {}).get(XMP)  # of a TIFF
    return Tags(
        colour.fitting(icc, grey),
        facts.chunks if facts else _chunks_of(image),
        exif_entries(image),
        upright(xmp),
        _dpi_of(image),
    )


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
    """XMP without what says how to turn the picture; None where there is no XMP."""
    return TURN.sub(b"", xmp) if isinstance(xmp, bytes) and xmp else None


def exif_entries(image: Image.Image) -> dict[int, Any] | None:
    """Entries of EXIF that describe the picture, by tag, and directories; None without any, or where it is damaged."""
    try:
        there = image.getexif()
        kept: dict[int, Any] = {tag: there[tag] for tag in DESCRIPTIVE if tag in there}
        if str(kept.get(DESCRIPTION, "")).startswith('{"shape"'):
            del kept[DESCRIPTION]  # what tifffile notes of an array's extents, which change
        kept |= {directory: dict(entries) for directory in (DETAILS, PLACE) if (entries := there.get_ifd(directory))}
        exif_of(kept, 1, 1).tobytes()
    except Exception:  # whatever a damaged directory provokes
        return None
    return kept or None


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def exif_of(entries: dict[int, Any], width: int, height: int) -> Image.Exif:
    """EXIF with the extents of the picture that it goes with."""
    exif = Image.Exif()
    for tag, value in entries.items():
        exif[tag] = _as_read(value)
    if details := entries.get(DETAILS):
        extents = zip(EXTENTS, (width, height), strict=True)
        resized = details | {tag: extent for tag, extent in extents if tag in details}
        exif[DETAILS] = {tag: _as_read(value) for tag, value in resized.items()}
    return exif


def in_tiff(entries: dict[int, Any], width: int, height: int) -> Image.Exif:
    """The same for a TIFF, whose directories Pillow takes only from an EXIF that it has read."""
    exif = Image.Exif()
    exif.load(exif_of(entries, width, height).tobytes())
    for tag, value in entries.items():
        if isinstance(value, str):
            exif[tag] = _as_read(value)
    return exif


def _as_read(value: Any) -> Any:
    """Text as the bytes that it was read from: Pillow reads it as Latin-1, whatever it is, and writes ASCII alone."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value
