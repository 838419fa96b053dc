"""Animations, and files of several pages: one picture after another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ImageSequence

from npbsrn.errors import PictureError
from npbsrn.images.opening import MAX_PIXELS, Source, name_of, opened, refusals, source_file
from npbsrn.images.picture import Picture
from npbsrn.images.reading import from_pillow, read_picture


@dataclass(frozen=True)
class Frame:
    """One picture of several.

    Parameters
    ----------
    picture : Picture
        All of it: what an animation's frame leaves as it was is there, too.
    duration : float
        Milliseconds; 0 for a page.
    """

    picture: Picture
    duration: float = 0


@dataclass(frozen=True)
class Frames:
    """The pictures of a file, to be read one after another by iteration, as often as wanted.

    Parameters
    ----------
    source : path or bytes
    count : int
        How many pictures; 1 for an ordinary file.
    moving : bool
        Whether they are an animation, and not pages.
    loop : int
        How often an animation runs; 0 stands for ever.
    max_pixels : int, optional
        Of one picture.
    name : object
    """

    source: Source
    count: int
    moving: bool
    loop: int
    max_pixels: int | None
    name: object

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Frame]:
        if self.count == 1:
            yield Frame(read_picture(self.source, self.max_pixels, self.name))
            return
        with refusals(self.name), source_file(self.source) as file, opened(file, self.max_pixels) as image:
            for one in ImageSequence.Iterator(image):
                one.load()
                yield Frame(from_pillow(one, name=self.name), float(one.info.get("duration", 0)))


def read_frames(source: Source, max_pixels: int | None = MAX_PIXELS, name: object = None) -> Frames:
    """Look at how many pictures a file holds; decode none yet.

    Parameters
    ----------
    source : path, or bytes
        GIF, WebP, APNG, AVIF, TIFF; any other holds one.
    max_pixels, name
        As for `npbsrn.images.reading.read_picture`.

    Raises
    ------
    PictureError
        If it cannot be read, now or when iterated.
    """
    name = name_of(source) if name is None else name
    with refusals(name), source_file(source) as file:
        if not file.read(1):
            raise PictureError(f"{name} is empty; get a good copy of it")
        with opened(file, max_pixels) as image:
            return Frames(source, _count(image), image.format != "TIFF", _loop(image), max_pixels, name)


def _count(image: Any) -> int:
    return int(getattr(image, "n_frames", 1)) if image.format in ("GIF", "WEBP", "PNG", "AVIF", "TIFF") else 1


def _loop(image: Any) -> int:
    return int(image.info.get("loop", 0 if image.format != "GIF" else 1))
