"""Write several pictures into one file: animations, and pages of TIFF."""

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import BinaryIO

import numpy as np

from npbsrn.errors import PictureError
from npbsrn.images.fitting import PLAIN, Target, check_output, in_dtype
from npbsrn.images.formats import TIFF, Format, format_of
from npbsrn.images.frames import Frame
from npbsrn.images.metadata import bare
from npbsrn.images.muxing import MUXERS, Muxers
from npbsrn.images.pages import PageWriter
from npbsrn.images.saving import Saving
from npbsrn.images.writing import encode_picture, encoding, rgba_of, whole_file

# Bytes that a pixel of the result takes beside itself: it and the one before it as RGBA, where they differ, and what is
# encoded.
MUXED = 16


def check_frames(moving: bool, target: Target, saving: Saving = PLAIN) -> None:
    """Refuse a target that cannot hold several pictures, before any work is done.

    Parameters
    ----------
    moving : bool
        Whether they are an animation, and not pages.
    target : path, optional
    saving : Saving

    Raises
    ------
    PictureError
        If it cannot.
    """
    form = check_output(target, saving)
    if form.name not in (MUXERS if moving else ("TIFF",)):
        what, where = ("animation", ".png, .webp or .gif") if moving else ("pages", ".tif")
        path = "the result" if target is None else target
        raise PictureError(
            f"{path}: {form.name} holds no {what}; write a {where}, or take the first picture alone (--first-frame)"
        )


def write_frames(
    frames: Iterable[Frame],
    target: str | os.PathLike[str],
    overwrite: bool = True,
    saving: Saving = PLAIN,
    loop: int = 0,
) -> None:
    """Write an animation, or pages of a TIFF, whole or not at all.

    Parameters
    ----------
    frames : iterable of Frame
        Each as `fitted` gives it; taken one after another.
    target : path
    overwrite, saving
        As for `npbsrn.images.writing.write_picture`.
    loop : int
        How often an animation runs; 0 stands for ever.

    Raises
    ------
    PictureError
        If the file cannot be written.
    ExistsError
        If it is there already and not to be replaced.
    """
    form = check_output(target, saving)
    frames = _begun(frames)
    with whole_file(target, overwrite) as file:
        _encode(frames, file, form, saving, loop)


def encode_frames(frames: Iterable[Frame], form: str, saving: Saving = PLAIN, loop: int = 0) -> bytes:
    """The bytes of an animation, or of a TIFF of pages.

    Parameters
    ----------
    frames, saving, loop
        As for `write_frames`.
    form : str
        A suffix, as "png" or ".png".

    Raises
    ------
    PictureError
        If the frames cannot be encoded.
    """
    file = io.BytesIO()
    with encoding(form):
        _encode(frames, file, format_of(form), saving, loop)
    return file.getvalue()


def _encode(frames: Iterable[Frame], file: BinaryIO, form: Format, saving: Saving, loop: int) -> None:
    if form is TIFF:
        _write_pages(frames, file, saving)
    else:
        _write_moving(frames, file, MUXERS[form.name], saving, loop)


def _begun(frames: Iterable[Frame]) -> Iterator[Frame]:
    """The same, of which the first is made now: where that fails, no file is begun, and no folder is made."""
    coming = iter(frames)
    waiting = list(islice(coming, 1))

    def all_of() -> Iterator[Frame]:
        while waiting:
            yield waiting.pop()  # and is not held here
        yield from coming

    return all_of()


def _write_moving(frames: Iterable[Frame], file: BinaryIO, muxer: Muxers, saving: Saving, loop: int) -> None:
    writing, size = None, (0, 0)
    for frame in frames:
        picture = in_dtype(frame.picture, np.uint8)
        if writing is None:
            tags = bare(picture.tags) if saving.strip else picture.tags
            size = picture.width, picture.height
            writing = muxer(file, *size, loop, tags, saving)
        elif (picture.width, picture.height) != size:
            raise PictureError("an animation's frames must be of one size")
        writing.add(rgba_of(picture), frame.duration)
    if writing is None:
        raise PictureError("an animation needs a frame")
    writing.close()


def _write_pages(frames: Iterable[Frame], file: BinaryIO, saving: Saving) -> None:
    pages = PageWriter(file)
    for number, frame in enumerate(frames):
        picture = frame.picture
        if number and picture.tags.exif:  # of which only the first page's directories are found again
            picture = replace(picture, tags=replace(picture.tags, exif=None))
        pages.write(encode_picture(picture, "tif", saving))
        pages.newFrame()  # behind the last page, too: what it completes, its end would complete once more
