"""From picture files and Pillow images to samples."""

import io
import os
import warnings
from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from npbsrn.errors import PictureError
from npbsrn.images import colour, deep, png
from npbsrn.images.directory import Entry, Exif
from npbsrn.images.metadata import (
    KIND,
    ORIENTATION,
    REDUCED,
    SOFTWARE,
    described,
    exif_of_tiff,
    of_tiff,
    orientation_in,
    orientation_of,
    pages_of_tiff,
)
from npbsrn.images.opening import MAX_PIXELS, Damage, Source, name_of, opened, refusals, source_file
from npbsrn.images.picture import Picture, split
from npbsrn.images.samples import cast

Array = np.ndarray[Any, Any]

SHORTENED = ("AVIF", "JPEG2000", "SGI")  # kinds of which Pillow reads 8 bits a channel instead of more
TIFF_HEADERS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
HEADER = 1 << 16  # bytes: as far as what stands before a WebP's pixels may reach
BITS, PHOTOMETRIC, SAMPLES, PLANAR, EXTRA, SAMPLE_FORMAT = 258, 262, 277, 284, 338, 339  # tags of TIFF


def read_picture(source: Source, max_pixels: int | None = MAX_PIXELS, name: object = None) -> Picture:
    """Read and decode a picture file, upright (its orientation is applied).

    Parameters
    ----------
    source : path, or bytes
        A file, or what one holds.
    max_pixels : int, optional
        A picture with more pixels is refused before it is decoded; None allows any.
    name : object, optional
        What messages call the picture, where it is not the path.

    Raises
    ------
    PictureError
        If the file is missing, is no picture, is damaged, is too large, or holds numbers that have no place in a
        picture.

    Warns
    -----
    UserWarning
        If the file holds several pictures, or 16 bits a channel of which 8 come out.
    """
    name = name_of(source) if name is None else name
    with refusals(name), source_file(source) as file:
        header = file.read(HEADER)
        if not header:
            raise PictureError(f"{name} is empty; get a good copy of it")
        file.seek(0)
        if header.startswith(png.SIGNATURE):
            return _read_png(file.read(), name, max_pixels)
        if header[:4] in TIFF_HEADERS:
            if len(pages_of_tiff(file)) > 1:
                _warn_of_several(name)
            return read_tiff(file, name, max_pixels)
        with opened(file, max_pixels) as image:
            _load(image, name)
            if image.format in SHORTENED and image.mode in ("RGB", "RGBA") and _depth_of(header) > 8:
                _warn_shallow(name, False)
            picture = from_pillow(image, name=name)
        return replace(picture, tags=replace(picture.tags, lossless=is_lossless(header)))


def _depth_of(header: bytes) -> int:
    """Bits of a sample of an AVIF, JPEG 2000 or SGI file; 10 for all that are more than 8 of an AVIF."""
    if header.startswith(b"\x01\xda"):
        return 8 * header[3]
    if (at := header.find(b"av1C")) >= 0:
        return 10 if int.from_bytes(header[at + 6 : at + 7], "big") & 0x40 else 8
    at = header.find(b"\xff\x4f\xff\x51")  # JPEG 2000: start, and sizes; of components behind 40 bytes
    return (header[at + 42] & 0x7F) + 1 if 0 <= at < len(header) - 42 else 8


def is_lossless(header: bytes) -> bool:
    """Whether a file is a WebP whose first chunk of pixels is VP8L."""
    lossless, lossy = header.find(b"VP8L"), header.find(b"VP8 ")
    return header[8:12] == b"WEBP" and lossless >= 0 and (lossy < 0 or lossless < lossy)


def _warn_of_frames(image: Any, name: object) -> None:
    if getattr(image, "n_frames", 1) > 1:
        _warn_of_several(name)


def _warn_of_several(name: object) -> None:
    warnings.warn(f"{name} holds several pictures: only the first is taken", stacklevel=5)


def _load(image: Any, name: object) -> None:
    _warn_of_frames(image, name)
    tiles = getattr(image, "tile", ())
    largest = [tile.args[1] for tile in tiles if image.format == "PPM" and isinstance(tile.args, tuple)]
    if image.mode == "RGB" and any(isinstance(value, int) and value > 255 for value in largest):
        _warn_shallow(name, False)
    image.load()


def _warn_shallow(name: object, curable: bool) -> None:
    cure = f"{deep.CURE} keeps all" if curable else "convert it to PNG or TIFF to keep more"
    warnings.warn(f"{name} holds more than 8 bits a channel, of which 8 come out; {cure}", stacklevel=5)


def _read_png(data: bytes, name: object, max_pixels: int | None) -> Picture:
    facts, plain = png.scan(data)
    with opened(io.BytesIO(plain), max_pixels) as image:
        wide = facts.depth == 16 and (facts.colour_type != png.GREY or facts.transparent)
        if not (wide and deep.available()):
            _load(image, name)
            if wide:
                _warn_shallow(name, True)
            return from_pillow(image, facts, name)
        _warn_of_frames(image, name)
        picture = deep.read_png(plain, facts)
        tags = described(image, picture.grey, facts)
        return turned(replace(picture, tags=tags), image.getexif().get(ORIENTATION, 1))


def read_tiff(file: BinaryIO, name: object, max_pixels: int | None) -> Picture:
    """The first page by Pillow where it is known to be right, else by tifffile."""
    exif = exif_of_tiff(file)
    try:
        with opened(file, max_pixels) as image:
            trusted, wide = _kind_of_tiff(image)
            if image.tag_v2.get(KIND, 0) & REDUCED:
                raise PictureError(f"{name} holds a small preview first, as cameras' raw files do; develop it first")
            curable = image.tag_v2.get(PHOTOMETRIC) in deep.PHOTOMETRIC
            if trusted and not (wide and deep.available() and curable):
                image.load()
                if wide:
                    _warn_shallow(name, curable)
                return from_pillow(image, name=name, exif=exif)
    except (UnidentifiedImageError, Damage):
        pass
    if not deep.available():
        raise PictureError(f"{name} is a kind of TIFF that needs more packages: {deep.CURE}, or convert it")
    file.seek(0)
    picture = deep.read_tiff(file, name, max_pixels)
    exif = exif or Exif()
    return turned(replace(picture, tags=of_tiff(exif, picture.grey)), orientation_of(exif))


def _kind_of_tiff(image: Any) -> tuple[bool, bool]:
    """Whether Pillow reads such a TIFF right, and whether it drops bits of it.

    Not right are planes of other than 8 bits and planes of grey with alpha, of which noise comes out; signed, 32-bit
    and floating samples, whose bytes are not swapped where they are compressed; deep grey of which 0 is white; and
    12 bits, which are taken for 16.
    """
    tags = image.tag_v2
    bits, kinds = set(tags.get(BITS, (1,))), set(tags.get(SAMPLE_FORMAT, (1,)))
    samples, planes = tags.get(SAMPLES, 1), tags.get(PLANAR, 1) == 2
    noise = planes and samples > 1 and (bits != {8} or samples < 3)
    negative = max(bits) > 8 and tags.get(PHOTOMETRIC, 1) == 0
    trusted = kinds == {1} and bits <= {1, 2, 4, 8, 16} and not noise and not negative
    return trusted, samples > 1 and max(bits) > 8


def turned(picture: Picture, orientation: int) -> Picture:
    """Apply an EXIF orientation, 1 to 8, to a picture."""

    def turn(samples: Array) -> Array:
        if orientation in (5, 6, 7, 8):
            samples = samples.swapaxes(0, 1)
        down, right = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
        return np.ascontiguousarray(samples[:: -1 if down else 1, :: -1 if right else 1])

    if orientation not in range(2, 9):
        return picture
    alpha = None if picture.alpha is None else turn(picture.alpha)
    return replace(picture, colour=turn(picture.colour), alpha=alpha)


def from_pillow(
    image: Image.Image, facts: png.Facts | None = None, name: object = "the picture", exif: Exif | None = None
) -> Picture:
    """Turn a Pillow image of any mode into samples, upright.

    Parameters
    ----------
    image : Pillow image
    facts : Facts, optional
        What the PNG that it was read from says.
    name : object
        What an error or warning calls it.
    exif : Exif, optional
        All tags of the TIFF that it was read from.

    Returns
    -------
    picture : Picture
        uint8; uint16 for 16-bit grey; float32 for mode F.

    Raises
    ------
    PictureError
        If there are no pixels, or numbers out of range.
    """
    if 0 in image.size:
        raise PictureError(f"{name} has no pixels: its size is {image.width}x{image.height}")
    unsaid = ORIENTATION not in image.getexif()
    original, image = image, ImageOps.exif_transpose(image)
    picture = (_grey if is_grey(image) else _coloured)(image, facts, name)
    if unsaid:  # or so that Pillow does not see it
        xmp = facts.xmp if facts else original.info.get("xmp")
        picture = turned(picture, orientation_in(xmp) if isinstance(xmp, bytes) else 1)
    return replace(picture, tags=described(original, picture.grey, facts, exif))


def is_grey(image: Image.Image) -> bool:
    """Whether the samples of a Pillow image are grey."""
    return image.mode in ("1", "L", "LA", "La", "F") or image.mode.startswith("I")


def _grey(image: Image.Image, facts: png.Facts | None, name: object) -> Picture:
    if image.mode in ("LA", "La"):
        return split(np.asarray(image.convert("LA")))
    if image.mode in ("1", "L"):
        samples = np.asarray(image.convert("L"))
        key = image.info.get("transparency")
        if facts and facts.transparent:  # Pillow spreads samples of fewer bits over 0..255, but not always the key
            key = facts.transparent[0] * 255 // (2**facts.depth - 1)
        return split(samples, (key,) if isinstance(key, int) else ())
    samples = deep.in_range(np.asarray(image), name)
    key = image.info.get("transparency")
    return split(samples, (key,) if isinstance(key, int) and samples.dtype == np.uint16 else ())


def _coloured(image: Image.Image, facts: png.Facts | None, name: object) -> Picture:
    if image.mode in ("CMYK", "LAB"):
        icc = image.info.get("icc_profile")
        return Picture(np.asarray(colour.to_srgb(image, icc, name)))
    if image.mode == "RGB" and facts and facts.depth == 16 and facts.transparent:
        image.info["transparency"] = tuple(value >> 8 for value in facts.transparent)  # as Pillow shortens samples
    return split(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")))


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether a picture file says that this package made it; see `npbsrn.images.saving.provenance`."""
    with suppress(Exception), warnings.catch_warnings(), open(path, "rb") as file:  # decoders raise anything
        warnings.simplefilter("ignore")
        if file.read(4) in TIFF_HEADERS:
            exif = exif_of_tiff(file) or Exif()
            software = exif.entries.get(SOFTWARE)
            return isinstance(software, Entry) and software.data.startswith(b"npbsrn ")
        with opened(file) as image:
            said = image.getexif().get(SOFTWARE), image.info.get("Software")
            return any(isinstance(words, str) and words.startswith("npbsrn ") for words in said)
    return False


def read_rgb(path: str | os.PathLike[str]) -> Array:
    """Read a picture file as 8-bit colour; grey is repeated to three channels, alpha is dropped.

    Returns
    -------
    picture : (H, W, 3) uint8
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*of which 8 come out")
        samples = cast(read_picture(path).colour, np.uint8)
    return np.repeat(samples[:, :, None], 3, axis=2) if samples.ndim == 2 else samples
