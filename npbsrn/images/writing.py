"""From samples to picture files and Pillow images."""

import io
import os
import warnings
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from npbsrn.errors import ExistsError, PictureError
from npbsrn.images import colour, deep, png
from npbsrn.images.fitting import PLAIN, by_srgbs_curve, check_output, in_dtype
from npbsrn.images.formats import JPEG, PNG, TIFF, WEBP, Format, format_of
from npbsrn.images.metadata import XMP, exif_of, in_tiff
from npbsrn.images.picture import Picture
from npbsrn.images.saving import QUALITY, Saving
from npbsrn.storage.files import atomic_write

Array = np.ndarray[Any, Any]


def write_picture(
    picture: Picture, target: str | os.PathLike[str], overwrite: bool = True, saving: Saving = PLAIN
) -> None:
    """Write a picture file, whole or not at all; the format follows the suffix.

    Parameters
    ----------
    picture : Picture
        As `fitted` gives it.
    target : path
    overwrite : bool
        Whether a file that is there already is replaced; a link is, and not the file that it leads to.
    saving : Saving

    Raises
    ------
    PictureError
        If the file cannot be written.
    ExistsError
        If it is there already and not to be replaced.
    """
    form = check_output(target, saving)
    try:
        with atomic_write(target, overwrite, follow=False) as file:
            _encode(picture, file, form, saving)
    except FileExistsError:
        raise ExistsError(target) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot write {target}: {reason}; nothing was left behind") from None


def encode_picture(picture: Picture, form: str, saving: Saving = PLAIN) -> bytes:
    """The bytes of a picture file.

    Parameters
    ----------
    picture : Picture
        As `fitted` gives it for this format.
    form : str
        A suffix, as "png" or ".png".
    saving : Saving

    Raises
    ------
    PictureError
        If the format is not written, or the picture cannot be.
    """
    file = io.BytesIO()
    try:
        _encode(picture, file, format_of(form), saving)
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot encode this as {form} ({error})") from None
    return file.getvalue()


def _encode(picture: Picture, file: BinaryIO, form: Format, saving: Saving) -> None:
    if picture.colour.dtype == np.uint8 or (picture.grey and picture.alpha is None):
        pillow_image(picture).save(file, form.name, **_options(picture, form, saving))
    elif form is PNG:
        file.write(png.with_chunks(deep.write_png(picture), _chunks(picture)))
    else:
        file.write(deep.write_tiff(picture))


def pillow_image(picture: Picture) -> Image.Image:
    """The samples as Pillow has them."""
    return Image.fromarray(picture.samples())


def _options(picture: Picture, form: Format, saving: Saving) -> dict[str, Any]:
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
        options |= {"quality": saving.quality or QUALITY, "subsampling": 0}
    elif form is WEBP:
        lossless = tags.lossless and saving.quality is None
        options |= {"lossless": True} if lossless else {"quality": saving.quality or QUALITY}
    return options


def _chunks(picture: Picture) -> list[png.Chunk]:
    """The tags as a PNG's chunks: those that Pillow writes with a picture of one pixel."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG", **_options(picture, PNG, PLAIN))
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
        picture = in_dtype(picture, np.uint8)
    if picture.tags.icc is None and not colour.chunks_are_srgb(picture.tags):
        if colour.only_gamma(picture.tags):
            picture = by_srgbs_curve(picture)
        else:
            warnings.warn(
                "a Pillow image loses what this PNG says of its colours; npbsrn.upscale_file does not", stacklevel=4
            )
    image = pillow_image(picture)
    if picture.tags.icc:
        image.info["icc_profile"] = picture.tags.icc
    return image
