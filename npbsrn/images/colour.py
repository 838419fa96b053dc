"""What the values of samples mean: colour profiles, and a PNG's colour chunks."""

import io
import struct
import warnings
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from npbsrn.images.picture import Tags

Array = np.ndarray[Any, Any]

KINDS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4, b"Lab ": 3}  # channels by a profile's colour space
SRGB_GAMMA = 45455  # gAMA of sRGB: 1 / 2.2, in hundred thousandths
SRGB_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)  # cHRM, likewise
SRGB_CICP = bytes([1, 13, 0, 1])
NEAR = 1000  # of these, likewise: a hundredth, which writers round off


def space_of(icc: bytes | None) -> bytes:
    """A profile's colour space, as its header has it; empty without a profile."""
    return icc[16:20] if icc and len(icc) >= 128 else b""


def fitting(icc: bytes | None, grey: bool) -> bytes | None:
    """The profile, if it is one for such samples: formats forbid a grey one with RGB, and the other way round."""
    return icc if space_of(icc) == (b"GRAY" if grey else b"RGB ") else None


def to_srgb(image: Image.Image, icc: bytes | None, name: object) -> Image.Image:
    """Convert a Pillow image to sRGB by its profile, or as well as can be without a good one.

    Parameters
    ----------
    image : Pillow image of mode L, RGB, CMYK or LAB
    icc : bytes, optional
    name : object
        What a warning calls it.
    """
    profile: Any = None
    if image.mode == "LAB":
        profile = ImageCms.createProfile("LAB")
    elif KINDS.get(space_of(icc)) == len(image.getbands()):
        profile = io.BytesIO(icc or b"")
    if profile is not None:
        try:
            converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            warnings.warn(f"{name} has a damaged colour profile, which is left out", stacklevel=2)
        else:
            assert converted is not None
            return converted
    return image.convert("RGB")


def chunks_are_srgb(tags: Tags) -> bool:
    """Whether a PNG's chunks on colour say no more than sRGB, which is what any viewer assumes.

    cICP goes before sRGB, and sRGB before gAMA and cHRM.
    """
    chunks = dict(tags.chunks)
    if b"cICP" in chunks:
        return chunks[b"cICP"] == SRGB_CICP
    if b"sRGB" in chunks:
        return True
    return abs(gamma(tags) - SRGB_GAMMA) < NEAR and _primaries_are_srgb(chunks.get(b"cHRM"))


def only_gamma(tags: Tags) -> bool:
    """Whether sRGB's curve is all that differs from sRGB, so that `from_gamma` brings the samples there."""
    chunks = dict(tags.chunks)
    return not chunks.keys() & {b"cICP", b"sRGB"} and _primaries_are_srgb(chunks.get(b"cHRM")) and gamma(tags) > 0


def _primaries_are_srgb(content: bytes | None) -> bool:
    if content is None or len(content) != 32:
        return True
    return all(abs(a - b) < NEAR for a, b in zip(struct.unpack(">8I", content), SRGB_PRIMARIES, strict=True))


def gamma(tags: Tags) -> int:
    """A PNG's gAMA in hundred thousandths; sRGB's without one."""
    content = dict(tags.chunks).get(b"gAMA", b"")
    return int(struct.unpack(">I", content)[0]) if len(content) == 4 else SRGB_GAMMA


def from_gamma(fractions: Array, exponent: int) -> Array:
    """Bring samples that were made by a power law to sRGB's curve.

    Parameters
    ----------
    fractions : array of float, in [0, 1]
        ``light ** (exponent / 100000)``.
    exponent : int
        gAMA.

    References
    ----------
    IEC 61966-2-1:1999, the curve of sRGB.
    """
    light = np.power(fractions, 100000 / exponent)
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.power(light, 1 / 2.4) - 0.055)
