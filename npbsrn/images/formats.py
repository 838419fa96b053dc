"""The formats that npbsrn writes, and what each can hold."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import features

from npbsrn.errors import PictureError


@dataclass(frozen=True)
class Format:
    """One file format.

    Parameters
    ----------
    name : str
        Pillow's.
    alpha : bool
        Whether it holds transparency.
    coloured : bool
        Whether it holds colours.
    deep : bool
        Whether it holds 16 bits a channel.
    floats : bool
        Whether it holds floats.
    icc : bool
        Whether it holds a colour profile.
    largest : int
        Pixels of the longest side.
    most : int
        Bytes of all samples.
    longest : int
        Bytes of EXIF, and of XMP.
    says : tuple of str
        What else it holds: of `npbsrn.images.picture.Tags`, "exif", "xmp" and "iptc".
    """

    name: str
    alpha: bool = False
    coloured: bool = True
    deep: bool = False
    floats: bool = False
    icc: bool = True
    largest: int = 2**31 - 1
    most: int = 1 << 62
    longest: int = 1 << 31
    says: tuple[str, ...] = ("exif", "xmp", "iptc")


PNG = Format("PNG", alpha=True, deep=True)
JPEG = Format("JPEG", largest=65500, longest=65000)
WEBP = Format("WEBP", alpha=True, largest=16383, says=("exif", "xmp"))
TIFF = Format("TIFF", alpha=True, deep=True, floats=True, most=4 * 10**9)
AVIF = Format("AVIF", alpha=True, largest=65536, says=("exif", "xmp"))
GIF = Format("GIF", alpha=True, icc=False, largest=65535, says=())
BMP = Format("BMP", icc=False, most=4 * 10**9, says=())
PPM = Format("PPM", icc=False, says=())
PGM = Format("PPM", icc=False, coloured=False, deep=True, says=())

# Kinds of files that are read, by Pillow's names. Some of the others run programs (EPS) or hold no pixels, and of some
# Pillow makes a negative (XBM).
OPENED = (
    "PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "PPM", "GIF", "AVIF", "HEIF", "JPEG2000", "TGA", "PCX", "SGI",
    "QOI", "PSD", "ICO",
)  # fmt: skip

# By suffix: what npbsrn takes from folders of data, and writes.
DATA_FORMATS = {
    ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".jfif": JPEG, ".webp": WEBP, ".bmp": BMP,
    ".tif": TIFF, ".tiff": TIFF, ".ppm": PPM, ".pgm": PGM,
}  # fmt: skip
# What it writes besides: GIF for animations, as it holds 256 colours, and AVIF.
WRITTEN = DATA_FORMATS | {".apng": PNG, ".gif": GIF, ".avif": AVIF}
# What it takes from folders to enlarge besides what it writes.
READ_ALONE = (
    ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".tga", ".heic", ".heif", ".hif", ".mpo", ".dib", ".pbm", ".pnm",
    ".pcx", ".sgi", ".rgb", ".bw", ".rgba", ".qoi",
)  # fmt: skip
HEIF = (".heic", ".heif", ".hif")


def is_read(suffix: str) -> bool:
    """Whether a file of such a suffix, as ".jpg", is taken from a folder of pictures to enlarge."""
    suffix = suffix.lower()
    if suffix in HEIF:
        return find_spec("pillow_heif") is not None
    return (suffix in WRITTEN and is_written(suffix)) or suffix in READ_ALONE


def is_written(suffix: str) -> bool:
    """Whether files of such a suffix are written, here: AVIF needs a Pillow that was built with it."""
    return suffix.lower() in WRITTEN and (suffix.lower() != ".avif" or bool(features.check("avif")))


def target_suffix(source_suffix: str) -> str:
    """The suffix of the result of a picture: the same where such files are written, else ".png"."""
    return source_suffix if is_written(source_suffix) else ".png"


def format_of(name: str | os.PathLike[str]) -> Format:
    """The format that a file's suffix names, or a suffix alone: "a.png", ".png" or "png".

    Raises
    ------
    PictureError
        If it names none that is written.
    """
    suffix = Path(name).suffix or f".{Path(name).name.removeprefix('.')}"
    if not is_written(suffix):
        known = ", ".join(suffix for suffix in WRITTEN if is_written(suffix))
        raise PictureError(f"cannot write {name}: choose a suffix among {known}")
    return WRITTEN[suffix.lower()]
