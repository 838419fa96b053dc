"""Samples of 16 bits and floats, which Pillow cannot hold, by imagecodecs and tifffile if installed."""

import math
import warnings
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

from npbsrn.errors import PictureError
from npbsrn.images.opening import refuse_huge
from npbsrn.images.picture import Picture, split
from npbsrn.images.png import Facts
from npbsrn.images.samples import peak_of, to_samples

Array = np.ndarray[Any, Any]

CURE = "pip install 'npbsrn[deep]'"
PHOTOMETRIC = {0: "white is 0", 1: "grey", 2: "RGB"}  # of TIFF: those that are read here
UNASSOCIATED, ASSOCIATED = 2, 1  # of TIFF: kinds of alpha
# Of TIFF: plain, LZW, deflate, packbits, LZMA, Zstandard. What unpacks to more than a strip or tile is cut off there;
# of others, which are pictures themselves, the size within is anything.
COMPRESSIONS = (1, 5, 8, 32946, 32773, 34925, 50000)


def available() -> bool:
    """Whether the packages of the extra ``deep`` are installed."""
    return all(find_spec(name) is not None for name in ("imagecodecs", "tifffile"))


def read_png(data: bytes, facts: Facts) -> Picture:
    """Decode a PNG of 16 bits a channel; its tags are left to the caller."""
    from imagecodecs import png_decode

    samples = png_decode(data)
    if samples.dtype != np.uint16:
        raise PictureError(f"imagecodecs gives {samples.dtype}, not 16 bits")
    return split(samples, facts.transparent)


def read_tiff(file: BinaryIO, name: object, max_pixels: int | None) -> Picture:
    """Decode the first page of a TIFF, not turned yet; its tags are left to the caller.

    Raises
    ------
    PictureError
        If samples are of a kind or range that has no place in a picture.
    """
    import tifffile

    with tifffile.TiffFile(file) as tiff:
        page: Any = tiff.pages[0]
        _check_page(page, file, name, max_pixels)
        photometric = int(page.photometric)
        if photometric not in PHOTOMETRIC:
            raise PictureError(f"{name} holds colours of a kind that is not read at such a depth; convert it to RGB")
        samples = page.asarray()
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            samples = np.moveaxis(samples, 0, -1)
        extra = [int(kind) for kind in page.extrasamples]
    channels = 3 if photometric == 2 else 1
    flat = samples.shape[:2] == (page.imagelength, page.imagewidth)
    samples = samples.reshape(*samples.shape[:2], -1)[:, :, : channels + 1] if flat else samples
    if not flat or samples.shape[2] < channels:
        raise PictureError(f"{name} holds no picture of grey or colours; convert it first")
    samples = _of_range(samples, int(page.bitspersample), name)
    if photometric == 0:
        samples[:, :, 0] = peak_of(samples.dtype) - samples[:, :, 0]
    if samples.shape[2] > channels and not (extra and extra[0] in (ASSOCIATED, UNASSOCIATED)):
        samples = samples[:, :, :channels]  # something else than alpha
    elif extra and extra[0] == ASSOCIATED:
        samples = _divided(samples)
    return split(samples)


def _check_page(page: Any, file: BinaryIO, name: object, max_pixels: int | None) -> None:
    """Refuse a page that would take far more memory or time than its pixels, before it is decoded."""
    each = page.samplesperpixel * max(8, *np.ravel(page.bitspersample)) // 8
    refuse_huge(page.imagewidth, page.imagelength, max_pixels, file, each)
    if page.samplesperpixel > 16:
        raise PictureError(f"{name} has {page.samplesperpixel} channels; convert it to RGB")
    if int(page.compression) not in COMPRESSIONS:
        raise PictureError(f"{name} is compressed in a way that is not read at such a depth; convert it")
    if page.is_tiled:
        refuse_huge(page.tilewidth, page.tilelength, max_pixels, file, each)
    if page.imagedepth != 1 or (page.is_tiled and page.tiledepth != 1):
        raise PictureError(f"{name} holds no picture of grey or colours; convert it first")
    if math.prod(page.chunked) > len(page.dataoffsets):
        raise PictureError(f"{name} is damaged (parts of it are missing); get a good copy of it")


def _divided(samples: Array) -> Array:
    """Colour that was multiplied by alpha, divided by it again."""
    alpha = samples[:, :, -1:].astype(np.float64)
    colour = to_samples(samples[:, :, :-1] / np.maximum(alpha, 1e-9) * (alpha > 0), samples.dtype)
    return np.concatenate([colour, samples[:, :, -1:]], axis=2)


def _of_range(samples: Array, bits: int, name: object) -> Array:
    """Samples of any depth as those of 8 or 16 bits, or as floats; see `in_range`."""
    if samples.dtype.kind == "u" and bits < 16:
        kind = np.uint8 if bits <= 8 else np.uint16
        return to_samples(samples / (2**bits - 1), kind) if bits != 8 else samples
    if samples.dtype.kind == "i" and bits <= 8:
        raise PictureError(f"{name} holds signed numbers of {bits} bits, which are no picture's; convert it first")
    if samples.dtype.kind in "iu" and samples.dtype != np.uint16:
        warnings.warn(f"{name} holds whole numbers of no range of their own: 65535 is taken for white", stacklevel=6)
    return in_range(samples, name)


def in_range(samples: Array, name: object) -> Array:
    """Samples as uint8, uint16, or float32 in [0, 1], where they are in the range of one of these.

    Raises
    ------
    PictureError
        If they are not.
    """
    if samples.dtype in (np.uint8, np.uint16):
        return samples
    if samples.dtype.kind not in "iuf":
        raise PictureError(f"{name} holds {samples.dtype} numbers, which are no picture's; convert it first")
    low, high = samples.min(), samples.max()
    if samples.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # NaN is refused, too
            raise PictureError(f"{name} holds floats from {low:g} to {high:g}; divide them by their range, to 0..1")
        return samples.astype(np.float32)
    if low < 0 or high > 65535:
        raise PictureError(f"{name} holds whole numbers from {low} to {high}; bring them into 0..65535 first")
    return samples.astype(np.uint16)


def write_tiff(picture: Picture, file: BinaryIO) -> None:
    """Encode 16 bits a channel, or floats, with profile and resolution; compressed without loss."""
    import tifffile

    tags = picture.tags
    try:
        tifffile.imwrite(
            tifffile.FileHandle(file, name="picture.tif"),  # which a file without a path needs
            np.ascontiguousarray(picture.samples()),
            photometric="minisblack" if picture.grey else "rgb",
            planarconfig=None if picture.grey and picture.alpha is None else "contig",
            extrasamples=None if picture.alpha is None else ["unassalpha"],
            compression="zlib",
            predictor=picture.colour.dtype.kind == "u",
            iccprofile=tags.icc,
            resolution=tags.dpi,
            resolutionunit="INCH" if tags.dpi else None,
            metadata=None,
            software="",
        )
    except RuntimeError as error:  # of imagecodecs
        raise ValueError(str(error)) from None
