"""Open picture files of known kinds by Pillow, and turn whatever goes wrong into one sentence."""

import io
import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError
from PIL import TiffImagePlugin as TiffImagePlugin  # two plug-ins that are used often, and not among the usual ones
from PIL import WebPImagePlugin as WebPImagePlugin

from npbsrn.errors import NpbsrnError, PictureError, TooLargeError
from npbsrn.images.formats import OPENED
from npbsrn.runtime.memory import available_bytes

Source = str | os.PathLike[str] | bytes  # a path, or a file's content

MAX_PIXELS = 1 << 28  # of a picture that is opened unasked: 805 MB of samples
# A file of a few bytes may hold as many pixels as its format has numbers for. Pictures of more than SMALL pixels that
# are packed more densely than DENSEST, beyond what an empty page takes as a PNG, are not opened unasked either.
DECODED = 7  # bytes that a pixel takes at least while a picture becomes an array
SMALL, DENSEST = 1 << 24, 10_000  # pixels; pixels a byte of the file
HEIF_CURE = "pip install 'npbsrn[heic]'"
CUT = re.compile("truncat|not enough|unexpected end|premature", re.IGNORECASE)  # what decoders call a missing end
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@contextmanager
def source_file(source: Source) -> Iterator[BinaryIO]:
    """A file to read, from a path or from bytes."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    path = Path(source)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PictureError(f"{path} is a pipe or device; name a picture file")
    with open(path, "rb") as file:
        yield file


def name_of(source: Source) -> object:
    """What a message calls a source."""
    return "the picture" if isinstance(source, bytes) else os.fspath(source)


def opened(file: BinaryIO, max_pixels: int | None = None, decoded: bool = True) -> Any:
    """Open a picture of a known kind by Pillow.

    Of a file and not of a path, as what Pillow maps, it does not turn; and by its plug-ins and not by its `open`, whose
    limit of pixels is a global of the process and says no more than a number.

    Parameters
    ----------
    file : binary file
    max_pixels : int, optional
        None allows any.
    decoded : bool
        Whether the picture is to be decoded, and must fit into memory.

    Raises
    ------
    UnidentifiedImageError
        If no plug-in knows the file.
    PictureError
        If it has more than `max_pixels`.
    """
    file.seek(0)
    start = file.read(16)
    if start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS:
        _learn_heif()
    known, tried = False, set()
    for prepare in (Image.preinit, Image.init):  # the usual plug-ins; all of them, which take longer to import
        prepare()
        for name in OPENED:
            if name in tried or name not in Image.OPEN:
                continue
            tried.add(name)
            factory, accepts = Image.OPEN[name]
            try:
                if accepts is not None and accepts(start) is not True:
                    continue
                known = known or accepts is not None
                file.seek(0)
                image = factory(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error):  # by which plug-ins say that it is not theirs
                continue
            refuse_huge(image.width, image.height, max_pixels, file)
            if decoded:
                _refuse_unfit(image.width, image.height)
            return image
    raise Damage("its header cannot be read") if known else UnidentifiedImageError("of no known kind")


def _learn_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise LackError(f"is an HEIC picture, which needs one more package: {HEIF_CURE}, or convert it") from None
    pillow_heif.register_heif_opener()


def refuse_huge(width: int, height: int, max_pixels: int | None, file: BinaryIO, bytes_each: int = 0) -> None:
    """Refuse a picture that has more pixels than are allowed, before memory is taken for it.

    Parameters
    ----------
    width, height : int
    max_pixels : int, optional
        None allows any; with any but `MAX_PIXELS` somebody has asked for it, and the file may be as small as it is.
    file : binary file
        Which holds the picture.
    bytes_each : int
        Of a pixel's samples; one of more than 8, as RGBA of 16 bits has, counts as several.
    """
    pixels = width * height * max(bytes_each, 8) // 8
    if max_pixels is not None and pixels > max_pixels:
        raise HugeError(f"{width}x{height} pixels, more than the {max_pixels} that are opened unasked")
    if max_pixels == MAX_PIXELS and pixels > SMALL and pixels > DENSEST * (size := _size_of(file)):
        raise HugeError(f"{width}x{height} pixels in {size} bytes, as files have that are made to fill the memory")


def _refuse_unfit(width: int, height: int) -> None:
    """Refuse a picture that could not be decoded into the memory that there is."""
    need, available = width * height * DECODED, available_bytes() if width * height > SMALL else None
    if available is not None and need > available:
        raise TooLargeError(
            f"{width}x{height} pixels take {need / 1e9:.2f} GB of memory to be decoded, {available / 1e9:.2f} GB are "
            "available; take a smaller picture, or a PNG that is not interlaced, a PPM, or a TIFF of small strips: "
            "these are read a part at a time"
        )


def _size_of(file: BinaryIO) -> int:
    at = file.tell()  # from where a plug-in reads on
    size = file.seek(0, os.SEEK_END)
    file.seek(at)
    return size


class Damage(ValueError):
    """What is wrong with a file, in words of ours."""


class HugeError(Exception):
    """A picture has more pixels than are allowed."""


class LackError(Exception):
    """A package is missing that reads such a picture."""


@contextmanager
def refusals(name: object) -> Iterator[None]:
    """Turn whatever opening and decoding raise into one sentence about the file `name`."""
    try:
        yield
    except (NpbsrnError, Warning):  # a warning where the user has made them errors
        raise
    except HugeError as error:
        raise PictureError(f"{name} has {error}; give --max-pixels if you trust it") from None
    except LackError as error:
        raise PictureError(f"{name} {error}") from None
    except FileNotFoundError:
        raise PictureError(f"there is no file {name}; name a picture or a folder of pictures") from None
    except IsADirectoryError:
        raise PictureError(f"{name} is a folder; name a picture") from None
    except PermissionError:
        raise PictureError(f"{name} may not be read; check its permissions") from None
    except UnidentifiedImageError:
        known = ", ".join(OPENED)
        raise PictureError(f"{name} is not a picture that can be read; known formats are {known}") from None
    except (Image.DecompressionBombError, MemoryError):
        raise PictureError(f"{name} is too large to be opened safely; cut it into smaller pictures first") from None
    except OSError as error:
        if error.errno is not None:
            raise PictureError(f"{name} cannot be read ({error.strerror}); try again, or get a good copy") from None
        raise PictureError(f"{name} is damaged ({_reason(error)}); get a good copy of it") from None
    except Exception as error:  # decoders raise whatever damage provokes in them
        raise PictureError(f"{name} is damaged ({_reason(error)}); get a good copy of it") from None


def _reason(error: Exception) -> str:
    """What is wrong, without the words of decoders, which are about themselves."""
    if isinstance(error, Damage):
        return str(error)
    return "it is cut short" if CUT.search(str(error)) else "it cannot be decoded"
