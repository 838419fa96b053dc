"""A picture as the format of a file can hold it: what it cannot hold is converted, or refused before the work."""

import math
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.errors import PictureError
from npbsrn.images import colour, deep
from npbsrn.images.alpha import over
from npbsrn.images.embedding import too_long
from npbsrn.images.formats import BMP, GIF, PGM, PNG, PPM, TIFF, Format, format_of
from npbsrn.images.metadata import bare
from npbsrn.images.picture import Picture
from npbsrn.images.samples import cast, to_fractions, to_samples
from npbsrn.images.saving import Saving
from npbsrn.storage.files import check_folder_of, refuse_full

Array = np.ndarray[Any, Any]
Target = str | os.PathLike[str] | None  # None: standard output, or memory

PLAIN = Saving()
DEFLATED_MOST = 1032  # bytes that one of deflate stands for at most
SAID = ("exif", "xmp", "iptc")
NAMES = {"exif": "EXIF", "xmp": "XMP", "iptc": "IPTC", "comment": "a comment"}


def format_for(target: Target, saving: Saving) -> Format:
    """The format of a file to be written: that which is asked for, or which the file's suffix names.

    Raises
    ------
    PictureError
        If there is none, or npbsrn does not write it.
    """
    if saving.format:
        return format_of(saving.format)
    if target is None:
        raise PictureError("a format is needed where there is no file name; give png, for one")
    return format_of(target)


def check_output(target: Target, saving: Saving = PLAIN) -> Format:
    """Refuse, before any work is done, a file that could not be written.

    Raises
    ------
    PictureError
        If the suffix is unknown, or the folder is missing or may not be written.
    """
    if target is not None and Path(target).is_dir():
        raise PictureError(f"cannot write {target}: it is a folder; name a file")
    form = format_for(target, saving)
    if target is not None:
        check_folder_of(Path(target), PictureError, saving.make_folder)
    return form


def fitted(
    picture: Picture, target: Target, scale: float = 1, saving: Saving = PLAIN, by_rows: bool = False
) -> Picture:
    """A picture as the format of a file can hold it, or its enlargement by `scale`.

    What a format cannot hold is converted where nothing is lost that one would see, and refused or said where not: this
    is done before the work on the picture, so that nothing is refused after it.

    Parameters
    ----------
    picture : Picture
    target : path, optional
        The file to be written; None stands for standard output.
    scale : float
    saving : Saving
    by_rows : bool
        Whether it is written by rows (`npbsrn.images.strips`), and so may have more bytes.

    Raises
    ------
    PictureError
        If the file could not be written, or its format cannot hold so many pixels, transparency, or the colours.

    Warns
    -----
    UserWarning
        If 8 bits a channel come out of more.
    """
    form = check_output(target, saving)
    path = "the result" if target is None else target
    refuse_sides(target, form, picture.width, picture.height, scale)
    if saving.strip:
        picture = replace(picture, tags=bare(picture.tags))
    if picture.alpha is not None and not form.alpha:
        if picture.opaque():
            picture = replace(picture, alpha=None)
        elif saving.background is None:
            raise PictureError(
                f"{path}: {form.name} holds no transparency; write a .png or .webp, or name a background"
            )
        else:
            picture = over(picture, saving.background)
    if not form.coloured and not picture.grey:
        raise PictureError(f"{path}: a .pgm holds no colours; write a .ppm or .png")
    if form is GIF:
        what = "256 colours and no half transparency" if picture.partly_transparent() else "256 colours"
        warnings.warn(f"{path}: GIF holds {what}; write a .png or .webp to keep all", stacklevel=2)
    most = 1 << 62 if by_rows else form.most
    return _of_size(_of_colour(_of_depth(picture, path, form), path, form), path, form, scale, saving, most)


def refuse_sides(target: Target, form: Format, width: int, height: int, scale: float) -> None:
    """Refuse extents that a format has no numbers for, of a picture that is enlarged by `scale`."""
    width, height = math.ceil(width * scale), math.ceil(height * scale)
    if max(width, height) > form.largest:
        raise PictureError(
            f"{'the result' if target is None else target}: {form.name} holds {form.largest} pixels a side, and this "
            f"would be {width}x{height}; write a .png or .tif"
        )


def refuse_full_disk(
    target: Target, form: Format, width: int, height: int, sample: Picture, by_rows: bool = False
) -> None:
    """Refuse a result for which there is no room on the disk, as far as that is known before it is made.

    Parameters
    ----------
    target : path, optional
    form : Format
    width, height : int
        Of the result.
    sample : Picture
        With samples of its kind.
    by_rows : bool
        Whether it is written by rows, which compresses a TIFF.

    Raises
    ------
    PictureError
        If there is none even for samples that compress as well as can be: deflate takes a byte for 1032 at least.
    """
    if target is None:
        return
    need = width * height * ((1 if sample.grey else 3) + (sample.alpha is not None)) * sample.colour.itemsize
    plain = form in (BMP, PPM, PGM) or (form is TIFF and not by_rows and sample.colour.dtype == np.uint8)
    if plain or form in (PNG, TIFF):
        refuse_full(Path(target), need if plain else need // DEFLATED_MOST, PictureError)


def _of_size(picture: Picture, path: object, form: Format, scale: float, saving: Saving, most: int) -> Picture:
    """Refuse samples that a format has no numbers for, and leave out descriptions that are too long for it."""
    size = picture.colour.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
    if size * scale**2 > most:
        raise PictureError(f"{path}: {form.name} holds {form.most // 10**9} GB, and this would be more; write a .png")
    if lost := [name for name in SAID if getattr(picture.tags, name) and name not in form.says]:
        what = ", ".join(NAMES[name] for name in lost)
        warnings.warn(f"{path}: {form.name} holds no {what}; left out", stacklevel=4)
    tags, names = too_long(picture.tags, form.longest, saving)
    if names:
        what = " and ".join(NAMES[name] for name in names)
        warnings.warn(f"{path}: {what} of more than 64 KB have no place in a {form.name}; left out", stacklevel=4)
    return replace(picture, tags=tags)


def _of_colour(picture: Picture, path: object, form: Format) -> Picture:
    """Colours by a profile or chunk that the format holds, or by sRGB."""
    tags = picture.tags
    if form is PNG or (tags.icc is None and colour.chunks_are_srgb(tags)):
        return picture
    kept = replace(tags, icc=tags.icc if form.icc else None, chunks=())
    if tags.icc is None:
        if not colour.only_gamma(tags):
            raise PictureError(f"{path}: {form.name} does not hold the colours of this PNG; write a .png")
        return replace(by_srgbs_curve(picture), tags=kept)
    if form.icc:
        return replace(picture, tags=kept)
    if picture.colour.dtype != np.uint8:
        warnings.warn(f"{path} gets 8 bits a channel instead of more, as its colours are converted", stacklevel=4)
    converted = np.asarray(colour.to_srgb(Image.fromarray(cast(picture.colour, np.uint8)), tags.icc, path))
    return replace(picture, colour=converted[:, :, 1] if picture.grey else converted, tags=kept)


def by_srgbs_curve(picture: Picture) -> Picture:
    """Samples of a PNG with another gamma than sRGB's, converted."""
    curved = colour.from_gamma(to_fractions(picture.colour), colour.gamma(picture.tags))
    return replace(picture, colour=to_samples(curved, picture.colour.dtype))


def _of_depth(picture: Picture, path: object, form: Format) -> Picture:
    """Samples as deep as the format, and the packages that are there, can hold."""
    kind = picture.colour.dtype
    plain = picture.grey and picture.alpha is None  # which Pillow writes by itself
    if kind == np.uint8 or (form.deep and (plain or (form in (PNG, TIFF) and deep.available())) and kind == np.uint16):
        return picture
    if kind == np.float32 and form.floats and (plain or deep.available()):
        return picture
    if kind == np.float32 and form.deep and (plain or (form in (PNG, TIFF) and deep.available())):
        return in_dtype(picture, np.uint16)
    cure = f"{deep.CURE} keeps all" if form in (PNG, TIFF) else "write a .png or .tif to keep all"
    warnings.warn(f"{path} gets 8 bits a channel instead of more; {cure}", stacklevel=4)
    return in_dtype(picture, np.uint8)


def in_dtype(picture: Picture, dtype: Any) -> Picture:
    """A picture with samples of another dtype."""
    alpha = None if picture.alpha is None else cast(picture.alpha, dtype)
    return replace(picture, colour=cast(picture.colour, dtype), alpha=alpha)
