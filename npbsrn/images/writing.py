"""From samples to picture files and Pillow images."""

import io
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from npbsrn.errors import ExistsError, PictureError
from npbsrn.images import colour, deep, png
from npbsrn.images.formats import JPEG, PNG, TIFF, WEBP, Format, format_of
from npbsrn.images.metadata import XMP, exif_of, in_tiff
from npbsrn.images.picture import Picture
from npbsrn.images.samples import cast, to_fractions, to_samples
from npbsrn.storage.files import atomic_write, check_folder_of

Array = np.ndarray[Any, Any]

QUALITY = 95  # of JPEG and WebP


def check_output(path: str | os.PathLike[str]) -> Format:
    """Refuse, before any work is done, a file that could not be written.

    Raises
    ------
    PictureError
        If the suffix is unknown, or the folder is missing or may not be written.
    """
    path = Path(path)
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder; name a file")
    form = format_of(path)
    check_folder_of(path, PictureError)
    return form


def fitted(picture: Picture, path: str | os.PathLike[str], scale: int = 1) -> Picture:
    """A picture as the format of a file can hold it, or its enlargement by `scale`.

    What a format cannot hold is converted where nothing is lost that one would see, and refused or said where not: this
    is done before the work on the picture, so that nothing is refused after it.

    Parameters
    ----------
    picture : Picture
    path : path
        The file to be written.
    scale : int

    Raises
    ------
    PictureError
        If the file could not be written, or its format cannot hold so many pixels, transparency, or the colours.

    Warns
    -----
    UserWarning
        If 8 bits a channel come out of more.
    """
    form = check_output(path)
    if max(picture.width, picture.height) * scale > form.largest:
        raise PictureError(
            f"{path}: {form.name} holds {form.largest} pixels a side, and this would be "
            f"{picture.width * scale}x{picture.height * scale}; write a .png or .tif"
        )
    if picture.alpha is not None and not form.alpha:
        if not picture.opaque():
            raise PictureError(
                f"{path}: {form.name} holds no transparency; write a .png or .webp, or flatten the input"
            )
        picture = replace(picture, alpha=None)
    return _of_size(_of_colour(_of_depth(picture, path, form), path, form), path, form, scale)


def _of_size(picture: Picture, path: str | os.PathLike[str], form: Format, scale: int) -> Picture:
    """Refuse samples that a format has no numbers for, and leave out descriptions that are too long for it."""
    size = picture.colour.nbytes + (0 if picture.alpha is None else picture.alpha.nbytes)
    if size * scale**2 > form.most:
        raise PictureError(f"{path}: {form.name} holds {form.most // 10**9} GB, and this would be more; write a .png")
    tags = picture.tags
    long_exif = bool(tags.exif) and len(exif_of(tags.exif or {}, 1, 1).tobytes()) > form.longest
    long_xmp = len(tags.xmp or b"") > form.longest
    if long_exif or long_xmp:
        warnings.warn(f"{path}: EXIF or XMP is too long for {form.name}, and is left out", stacklevel=4)
        tags = replace(tags, exif=None if long_exif else tags.exif, xmp=None if long_xmp else tags.xmp)
    return replace(picture, tags=tags)


def _of_colour(picture: Picture, path: str | os.PathLike[str], form: Format) -> Picture:
    """Colours by a profile or chunk that the format holds, or by sRGB."""
    tags = picture.tags
    if form is PNG or (tags.icc is None and colour.chunks_are_srgb(tags)):
        return picture
    bare = replace(tags, icc=tags.icc if form.icc else None, chunks=())
    if tags.icc is None:
        if not colour.only_gamma(tags):
            raise PictureError(f"{path}: {form.name} does not hold the colours of this PNG; write a .png")
        return replace(_by_srgbs_curve(picture), tags=bare)
    if form.icc:
        return replace(picture, tags=bare)
    if picture.colour.dtype != np.uint8:
        warnings.warn(f"{path} gets 8 bits a channel of more, as its colours are converted", stacklevel=4)
    converted = np.asarray(colour.to_srgb(Image.fromarray(cast(picture.colour, np.uint8)), tags.icc, path))
    return replace(picture, colour=converted[:, :, 1] if picture.grey else converted, tags=bare)


def _by_srgbs_curve(picture: Picture) -> Picture:
    """Samples of a PNG with another gamma than sRGB's, converted."""
    curved = colour.from_gamma(to_fractions(picture.colour), colour.gamma(picture.tags))
    return replace(picture, colour=to_samples(curved, picture.colour.dtype))


def _of_depth(picture: Picture, path: str | os.PathLike[str], form: Format) -> Picture:
    """Samples as deep as the format, and the packages that are there, can hold."""
    kind = picture.colour.dtype
    plain = picture.grey and picture.alpha is None  # which Pillow writes by itself
    if kind == np.uint8 or (form.deep and (plain or (form in (PNG, TIFF) and deep.available())) and kind == np.uint16):
        return picture
    if kind == np.float32 and form.floats and (plain or deep.available()):
        return picture
    if kind == np.float32 and form.deep and (plain or (form in (PNG, TIFF) and deep.available())):
        return _cast(picture, np.uint16)
    cure = f"{deep.CURE} keeps all" if form in (PNG, TIFF) else "write a .png or .tif to keep all"
    warnings.warn(f"{path} gets 8 bits a channel of more; {cure}", stacklevel=4)
    return _cast(picture, np.uint8)


def _cast(picture: Picture, dtype: Any) -> Picture:
    alpha = None if picture.alpha is None else cast(picture.alpha, dtype)
    return replace(picture, colour=cast(picture.colour, dtype), alpha=alpha)


def write_picture(picture: Picture, path: str | os.PathLike[str], replace: bool = True) -> None:
    """Write a picture file, whole or not at all; the format follows the suffix.

    Parameters
    ----------
    picture : Picture
        As `fitted` gives it.
    path : path
    replace : bool
        Whether a file that is there already is replaced; a link is, and not the file that it leads to.

    Raises
    ------
    PictureError
        If the file cannot be written.
    ExistsError
        If it is there already and not to be replaced.
    """
    form = check_output(path)
    try:
        with atomic_write(path, replace, follow=False) as file:
            if picture.colour.dtype == np.uint8 or (picture.grey and picture.alpha is None):
                _image(picture).save(file, form.name, **_options(picture, form))
            elif form is PNG:
                file.write(png.with_chunks(deep.write_png(picture), _chunks(picture)))
            else:
                file.write(deep.write_tiff(picture))
    except FileExistsError:
        raise ExistsError(path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot write {path}: {reason}; nothing was left behind") from None


def _image(picture: Picture) -> Image.Image:
    return Image.fromarray(picture.samples())


def _options(picture: Picture, form: Format) -> dict[str, Any]:
    """What Pillow is told beside the samples."""
    tags = picture.tags
    options: dict[str, Any] = {"icc_profile": tags.icc} if form.icc else {}
    if tags.dpi and form is not WEBP:
        options["dpi"] = tags.dpi
    entries = (tags.exif or {}) | ({XMP: tags.xmp} if tags.xmp and form is TIFF else {})
    if entries and form in (PNG, JPEG, WEBP, TIFF):
        options["exif"] = (in_tiff if form is TIFF else exif_of)(entries, picture.width, picture.height)
    if form is PNG:
        info = options["pnginfo"] = PngInfo()
        for name, content in tags.chunks:
            info.add(name, content)
        if tags.xmp:
            info.add_itxt("XML:com.adobe.xmp", tags.xmp.decode("utf-8", "replace"))
    elif tags.xmp and form in (JPEG, WEBP):
        options["xmp"] = tags.xmp
    if form is JPEG:
        options |= {"quality": QUALITY, "subsampling": 0}
    elif form is WEBP:
        options |= {"lossless": True} if tags.lossless else {"quality": QUALITY}
    return options


def _chunks(picture: Picture) -> list[png.Chunk]:
    """The tags as a PNG's chunks: those that Pillow writes with a picture of one pixel."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG", **_options(picture, PNG))
    return png.before_data(file.getvalue())


def to_pillow(picture: Picture) -> Image.Image:
    """A Pillow image with the picture's profile; a PNG's gamma becomes that of sRGB.

    Warns
    -----
    UserWarning
        If 8 bits a channel come out of more, as Pillow has no mode for them, or colours get lost.
    """
    if picture.colour.dtype != np.uint8 and not (picture.grey and picture.alpha is None):
        warnings.warn(
            "a Pillow image holds 8 bits a channel of more; npbsrn.upscale_file, or an array, keeps all", stacklevel=4
        )
        picture = _cast(picture, np.uint8)
    if picture.tags.icc is None and not colour.chunks_are_srgb(picture.tags):
        if colour.only_gamma(picture.tags):
            picture = _by_srgbs_curve(picture)
        else:
            warnings.warn(
                "a Pillow image loses what this PNG says of its colours; npbsrn.upscale_file does not", stacklevel=4
            )
    image = _image(picture)
    if picture.tags.icc:
        image.info["icc_profile"] = picture.tags.icc
    return image
