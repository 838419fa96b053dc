"""Animations, and files of several pages: one picture after another."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any, BinaryIO, cast

from npbsrn.errors import PictureError
from npbsrn.images import gif, png
from npbsrn.images.layout import Layout, layout_at
from npbsrn.images.metadata import extents_of_tiff, pages_of_tiff
from npbsrn.images.opening import MAX_PIXELS, Source, name_of, opened, refusals, refuse_huge, source_file
from npbsrn.images.pages import Page
from npbsrn.images.picture import Picture
from npbsrn.images.reading import HEADER, TIFF_HEADERS, from_pillow, is_lossless, read_picture, read_tiff


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
    width, height : int
        Of the one with the most pixels; 0 for an ordinary file.
    scanned : (Facts, bytes), optional
        Of a PNG, by `npbsrn.images.png.scan`.
    """

    source: Source
    count: int
    moving: bool
    loop: int
    max_pixels: int | None
    name: object
    width: int = 0
    height: int = 0
    scanned: tuple[png.Facts, bytes] | None = None

    def __len__(self) -> int:
        return self.count

    def layout(self) -> Layout:
        """Of the largest picture, if all samples are like the first one's; an animation's frames become RGBA."""
        first = None if self.moving else layout_at(self.source)
        first = first or Layout(0, 0, 1 if self.moving else 4, False, True, True)
        return replace(first, width=self.width, height=self.height)

    def __iter__(self) -> Iterator[Frame]:
        if self.count == 1:
            yield Frame(read_picture(self.source, self.max_pixels, self.name))
            return
        with refusals(self.name), source_file(self.source) as file:
            if self.moving:
                yield from _moving(file, self.max_pixels, self.name, self.scanned)
            else:
                yield from _pages(file, self.max_pixels, self.name)


def _pages(file: BinaryIO, max_pixels: int | None, name: object) -> Iterator[Frame]:
    for at in pages_of_tiff(file):
        yield Frame(read_tiff(cast(BinaryIO, Page(file, at)), name, max_pixels))


def _moving(
    file: BinaryIO, max_pixels: int | None, name: object, scanned: tuple[png.Facts, bytes] | None
) -> Iterator[Frame]:
    facts, lossless = None, is_lossless(file.read(HEADER))
    if scanned:
        facts, file = scanned[0], io.BytesIO(scanned[1])
    file.seek(0)
    if file.read(6) in gif.SIGNATURES:
        refuse_huge(*gif.reach_of(file), max_pixels, file)
    with opened(file, max_pixels) as image:
        for number in range(_first(image), image.n_frames):
            image.seek(number)
            image.load()
            picture = from_pillow(image, facts, name)
            tags = replace(picture.tags, lossless=lossless)
            yield Frame(replace(picture, tags=tags), float(image.info.get("duration") or 0))


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
        start = file.read(16)
        if not start:
            raise PictureError(f"{name} is empty; get a good copy of it")
        if start[:4] in TIFF_HEADERS:
            pages = pages_of_tiff(file)
            extents = [extents_of_tiff(file, at) or (0, 0) for at in pages]
            width, height = max(extents, key=prod, default=(0, 0))
            return Frames(source, max(len(pages), 1), False, 0, max_pixels, name, width, height)
        if not start.startswith((b"GIF8", b"RIFF", png.SIGNATURE)) and start[4:8] != b"ftyp":
            return Frames(source, 1, False, 0, max_pixels, name)
        scanned = None
        if start.startswith(png.SIGNATURE):
            if not png.is_animated(file):
                return Frames(source, 1, False, 0, max_pixels, name)
            file.seek(0)
            scanned = png.scan(file.read())
            file = io.BytesIO(scanned[1])
        with opened(file, max_pixels) as image:
            count = image.n_frames - _first(image) if image.format in ("GIF", "WEBP", "PNG", "AVIF") else 1
            if count == 1:
                return Frames(source, 1, False, 0, max_pixels, name)
            width, height = gif.reach_of(file) if image.format == "GIF" else image.size
            return Frames(source, count, True, _loop(image), max_pixels, name, width, height, scanned)


def _first(image: Any) -> int:
    """The first frame; the picture before it in some PNGs is for programs that know no animation."""
    return 1 if image.format == "PNG" and image.info.get("default_image") and image.n_frames > 1 else 0


def _loop(image: Any) -> int:
    """How often an animation runs: a GIF says how often it runs again, if it does."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else int(loop) + 1 if loop else 0
    return int(loop or 0)
