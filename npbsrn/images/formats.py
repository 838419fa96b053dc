"""The formats that npbsrn writes, and what each can hold."""

from dataclasses import dataclass
from pathlib import Path

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
    """

    name: str
    alpha: bool = False
    deep: bool = False
    floats: bool = False
    icc: bool = True
    largest: int = 2**31 - 1
    most: int = 1 << 62
    longest: int = 1 << 31


PNG = Format("PNG", alpha=True, deep=True)
JPEG = Format("JPEG", largest=65500, longest=65000)
WEBP = Format("WEBP", alpha=True, largest=16383)
TIFF = Format("TIFF", alpha=True, deep=True, floats=True, most=4 * 10**9)
BMP = Format("BMP", icc=False, most=4 * 10**9)
PPM = Format("PPM", icc=False)
PGM = Format("PPM", icc=False, deep=True)

# Kinds of files that are read, by Pillow's names. Some of the others run programs (EPS) or hold no pixels, and of some
# Pillow makes a negative (XBM).
OPENED = (
    "PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "PPM", "GIF", "AVIF", "HEIF", "JPEG2000", "TGA", "PCX", "SGI",
    "QOI", "PSD", "ICO",
)  # fmt: skip

# By suffix: what npbsrn takes from folders, and writes.
FORMATS = {
    ".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".jfif": JPEG, ".webp": WEBP, ".bmp": BMP,
    ".tif": TIFF, ".tiff": TIFF, ".ppm": PPM, ".pgm": PGM,
}  # fmt: skip


def format_of(path: Path) -> Format:
    """The format that a file's suffix names.

    Raises
    ------
    PictureError
        If it names none that is written.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise PictureError(f"cannot write {path}: choose a suffix among {', '.join(FORMATS)}")
    return form
