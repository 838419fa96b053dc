"""What a browser shows of a picture file: the file itself, or a PNG that is made of it."""

import math
import os
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from npbsrn.errors import NpbsrnError, PictureError
from npbsrn.images.layout import layout_at
from npbsrn.images.opening import opened, refusals, refuse_huge
from npbsrn.images.reading import read_picture
from npbsrn.images.writing import to_pillow
from npbsrn.serving.hearing import heard

# By Pillow's names, what every browser of today shows, and its media type. SVG is not among what is opened.
SHOWN = {
    "PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif",
    "AVIF": "image/avif", "BMP": "image/bmp",
}  # fmt: skip
MOST = 40 * 10**6  # pixels that are shown as they are: browsers take four bytes for each, and some refuse more
REDUCED = 16 * 10**6  # pixels of a larger one's view, at most
SUFFIX, SMALL = ".view.png", ".small.png"
SIDE = 192  # pixels of a small picture's longer one


def unheard() -> AbstractContextManager[None]:
    """Let nobody hear what is said of a picture while a view is made of it: the result's own file has all."""
    return heard(lambda words: None, lambda words: None)


def look_at(path: Path, name: str, max_pixels: int | None) -> tuple[int, int] | tuple[None, None]:
    """Look at the header of a picture that has just come.

    Returns
    -------
    width, height : int
        Or twice None, where Pillow does not know the file: reading may, or says why not.

    Raises
    ------
    PictureError
        If it is empty, of no known kind, damaged there, or of too many pixels, in the words of `npbsrn upscale`.
    """
    if not path.stat().st_size:
        raise PictureError(f"{name} is empty; get a good copy of it")
    layout = layout_at(path)
    with refusals(name), open(path, "rb") as file:
        if layout is None:
            try:
                opened(file, max_pixels, decoded=False).close()
            except NpbsrnError:
                raise
            except ValueError as error:
                if "MAX_TEXT" not in str(error):  # of a PNG, which reading leaves out
                    raise
            return None, None
        refuse_huge(layout.width, layout.height, max_pixels, file)
    return _turned(path, layout.width, layout.height)


def _turned(path: Path, width: int, height: int) -> tuple[int, int]:
    """The sides of a picture as it is seen, which EXIF may turn."""
    with suppress(Exception), open(path, "rb") as file, opened(file, None, decoded=False) as image:
        if image.getexif().get(0x0112, 1) >= 5 and image.format != "HEIF":
            return height, width
    return width, height


def view_of(path: Path, name: str) -> tuple[Path, str]:
    """A file that browsers show, and its media type: the picture itself, or a PNG made of it, which is kept beside it.

    Raises
    ------
    PictureError, TooLargeError
        If there can be none.
    """
    with suppress(Exception), open(path, "rb") as file, opened(file, None, decoded=False) as image:
        if image.format in SHOWN and image.width * image.height <= MOST:
            return path, SHOWN[image.format]
    view = path.with_name(path.name + SUFFIX)
    if not view.exists():
        begun = path.with_name(path.name + SUFFIX + ".begun")
        with refusals(name), open(begun, "wb") as out:
            _write(path, name, out)
        os.replace(begun, view)
    return view, "image/png"


def small_of(path: Path, name: str) -> Path:
    """A small PNG of a picture for a list, which is kept beside it.

    Raises
    ------
    PictureError, TooLargeError
        If there can be none.
    """
    small = path.with_name(path.name + SMALL)
    if not small.exists():
        with refusals(name), open(path, "rb") as file, unheard():
            image = _quickly(file) or to_pillow(read_picture(path, None, name))
            image.thumbnail((SIDE, SIDE))
        image.save(small, "PNG", icc_profile=image.info.get("icc_profile"))
    return small


def _quickly(file: BinaryIO) -> Image.Image | None:
    """A picture by Pillow, of a JPEG no more of it than is needed; None where Pillow may be wrong."""
    with suppress(Exception):  # which reading as a whole says better
        image: Image.Image = opened(file)
        if image.mode in ("L", "RGB", "RGBA") and image.format != "TIFF":
            image.draft(image.mode, (SIDE, SIDE))
            return ImageOps.exif_transpose(image)
    return None


def _write(path: Path, name: str, file: BinaryIO) -> None:
    """Write a picture as a PNG of 8 bits, reduced where it is huge."""
    with unheard():
        image = to_pillow(read_picture(path, None, name))
    factor = math.ceil(math.sqrt(image.width * image.height / REDUCED))
    profile = image.info.get("icc_profile")
    small: Image.Image = image.reduce(factor) if image.width * image.height > MOST else image
    small.save(file, "PNG", compress_level=1, icc_profile=profile)
