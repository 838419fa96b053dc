"""How much a picture is: its extents and the kind of its samples, in memory or as its file's header has it."""

from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from npbsrn.images.metadata import HEIGHT, WIDTH, exif_of_tiff
from npbsrn.images.opening import Source, opened, source_file
from npbsrn.images.picture import Picture
from npbsrn.images.reading import BITS, PHOTOMETRIC, SAMPLE_FORMAT, SAMPLES, TIFF_HEADERS, is_grey

DEPTH_AT = 24  # where the header of a PNG has bits of a sample
FLOATS, PALETTE = 3, 3  # of TIFF: a format of samples, and a kind of colours
WIDE = {"I": 2, "F": 4}  # bytes of a sample, by the first letter of Pillow's mode


@dataclass(frozen=True)
class Layout:
    """Samples of a picture, as far as the need of memory depends on them.

    Parameters
    ----------
    width, height, itemsize : int
        Of the picture, and of a sample.
    grey, alpha : bool
    filled : bool
        Whether colour may flow under transparent pixels.
    """

    width: int
    height: int
    itemsize: int
    grey: bool
    alpha: bool
    filled: bool

    @property
    def channels(self) -> int:
        """With alpha."""
        return (1 if self.grey else 3) + self.alpha

    @property
    def size(self) -> int:
        """Bytes of all samples."""
        return self.width * self.height * self.channels * self.itemsize


def layout_of(picture: Picture) -> Layout:
    """The layout of a picture that is in memory."""
    filled = picture.alpha is not None and not picture.opaque()
    has_alpha = picture.alpha is not None
    return Layout(picture.width, picture.height, picture.colour.itemsize, picture.grey, has_alpha, filled)


def layout_at(source: Source) -> Layout | None:
    """The layout that a picture file has once it is decoded, by its header; nothing is decoded.

    Returns
    -------
    layout : Layout, or None
        None where the header cannot be read: reading the picture says why.
    """
    # Decoders raise anything. What they warn of may be said: to silence it would silence all threads.
    with suppress(Exception), source_file(source) as file:
        head = file.read(DEPTH_AT + 1)
        if head[:4] in TIFF_HEADERS:
            return _of_tiff(file)
        with opened(file, None, decoded=False) as image:
            alpha = image.has_transparency_data
            deep_png = image.format == "PNG" and head[DEPTH_AT] == 16  # of which Pillow drops bits
            itemsize = 2 if deep_png else WIDE.get(image.mode[0], 1)
            return Layout(image.width, image.height, itemsize, is_grey(image), alpha, alpha)
    return None


def _of_tiff(file: BinaryIO) -> Layout | None:
    """Of its first page, by its tags: Pillow does not open all that is read."""
    exif = exif_of_tiff(file)
    if exif is None:
        return None

    def numbers(tag: int, otherwise: int) -> tuple[int, ...]:
        return exif.numbers(exif.entries.get(tag)) or (otherwise,)

    bits, floats = max(numbers(BITS, 16)), numbers(SAMPLE_FORMAT, 1)[0] == FLOATS
    itemsize = 4 if floats else 1 if bits <= 8 else 2
    samples, kind = numbers(SAMPLES, 1)[0], numbers(PHOTOMETRIC, 2)[0]
    grey = kind < 2 and samples < 3
    alpha = samples > (1 if grey or kind == PALETTE else 3)  # or something else, which takes as much while it is read
    width, height = numbers(WIDTH, 0)[0], numbers(HEIGHT, 0)[0]
    return Layout(width, height, itemsize, grey, alpha, alpha) if width and height else None
