"""From samples to picture files and Pillow images."""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from npbsrn.errors import ExistsError, NpbsrnError, PictureError
from npbsrn.images import colour, deep, png
from npbsrn.images.compression import save_png
from npbsrn.images.directory_writing import add_entries
from npbsrn.images.embedding import jpeg_options, png_chunks, tiff_entries, webp_options
from npbsrn.images.fitting import PLAIN, by_srgbs_curve, check_output, in_dtype
from npbsrn.images.formats import AVIF, BMP, GIF, JPEG, PNG, TIFF, WEBP, Format, format_of
from npbsrn.images.layout import layout_of
from npbsrn.images.metadata import bare
from npbsrn.images.muxing import GifMuxer
from npbsrn.images.picture import Picture, Tags
from npbsrn.images.saving import QUALITY, Saving
from npbsrn.runtime.interrupts import ENDING
from npbsrn.storage.files import atomic_write

Array = np.ndarray[Any, Any]

FULL_COLOUR = 90  # quality from which colours are as fine as lightness, as ImageMagick has it


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
    with whole_file(target, overwrite) as file:
        _encode(picture, file, form, saving)


@contextmanager
def whole_file(target: str | os.PathLike[str], overwrite: bool) -> Iterator[BinaryIO]:
    """`atomic_write` of a picture, whose failures, encoders' too, become one sentence.

    Its folder is made where it is missing: `check_output` has refused it before where that is not wanted.
    """
    try:
        with ENDING:  # a process that ends may just have removed the folder
            os.makedirs(os.path.dirname(target) or os.curdir, exist_ok=True)
        with atomic_write(target, overwrite, follow=False) as file:
            yield file
    except FileExistsError:
        raise ExistsError(target) from None
    except NpbsrnError:
        raise
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
    with encoding(form):
        _encode(picture, file, format_of(form), saving)
    return file.getvalue()


@contextmanager
def encoding(form: str) -> Iterator[None]:
    """What encoders raise becomes one sentence."""
    try:
        yield
    except NpbsrnError:
        raise
    except (OSError, ValueError) as error:
        raise PictureError(f"cannot encode this as {form} ({error})") from None


def _encode(picture: Picture, file: BinaryIO, form: Format, saving: Saving) -> None:
    tags = bare(picture.tags) if saving.strip else picture.tags
    said = tags, picture.width, picture.height, saving
    plain = picture.colour.dtype == np.uint8 or (picture.grey and picture.alpha is None)  # which Pillow writes
    if form is PNG and plain:
        out: Any = png.BehindHeader(file, png_chunks(*said))
        save_png(picture.samples(), out)
    elif form is PNG:
        _save_deep_png(replace(picture, tags=tags), file, saving)
    elif form is TIFF:
        if plain:
            pillow_image(picture).save(file, "TIFF", icc_profile=tags.icc, **({"dpi": tags.dpi} if tags.dpi else {}))
        else:
            deep.write_tiff(replace(picture, tags=tags), file)
        add_entries(file, tiff_entries(*said))
    elif form is GIF:
        animation = GifMuxer(file, picture.width, picture.height, 1, tags, saving)
        animation.add(rgba_of(picture), 0)
        animation.close()
    else:
        pillow_image(picture).save(file, form.name, **options_of(form, *said))


def _save_deep_png(picture: Picture, file: BinaryIO, saving: Saving) -> None:
    """Write a PNG of 16 bits a channel, which Pillow cannot."""
    from npbsrn.images.strips.base import Page
    from npbsrn.images.strips.png import PngWriter  # which imports Numba

    layout = layout_of(picture)
    page = Page(layout.width, layout.height, layout.channels, layout.alpha, picture.colour.dtype, picture.tags)
    writer = PngWriter(file, page, saving, 1)
    writer.write(picture.samples())
    writer.close()


def pillow_image(picture: Picture) -> Image.Image:
    """The samples as Pillow has them."""
    return Image.fromarray(picture.samples())


def rgba_of(picture: Picture) -> Array:
    """Samples of 8 bits as (H, W, 4): red, green, blue, alpha."""
    samples = np.empty((picture.height, picture.width, 4), np.uint8)
    samples[:, :, :3] = picture.colour[:, :, None] if picture.grey else picture.colour
    samples[:, :, 3] = 255 if picture.alpha is None else picture.alpha
    return samples


def options_of(form: Format, tags: Tags, width: int, height: int, saving: Saving) -> dict[str, Any]:
    """What Pillow's encoder of a format is told beside the samples."""
    quality = saving.quality or QUALITY
    colours = "4:4:4" if quality >= FULL_COLOUR else "4:2:0"
    if form is JPEG:
        return jpeg_options(tags, width, height, saving) | {"quality": quality, "subsampling": colours}
    if form is AVIF:
        return webp_options(tags, width, height, saving) | {"quality": quality, "subsampling": colours}
    if form is WEBP:
        lossless = tags.lossless and saving.quality is None
        return webp_options(tags, width, height, saving) | ({"lossless": True} if lossless else {"quality": quality})
    return {"dpi": tags.dpi or (0, 0)} if form is BMP else {}  # which is 96 if nothing is said


def to_pillow(picture: Picture) -> Image.Image:
    """A Pillow image whose `info` holds profile, EXIF, XMP and resolution, as that of an opened file does.

    A PNG's gamma becomes that of sRGB.

    Warns
    -----
    UserWarning
        If 8 bits a channel come out of more, as Pillow has no mode for them, or colours get lost.
    """
    if picture.colour.dtype != np.uint8 and not (picture.grey and picture.alpha is None):
        warnings.warn(
            "a Pillow image holds 8 bits a channel instead of more; npbsrn.upscale_file, or an array, keeps all",
            stacklevel=4,
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
    tags = picture.tags
    said = webp_options(tags, picture.width, picture.height, PLAIN) | {"dpi": tags.dpi, "comment": tags.comment}
    image.info.update({name: value for name, value in said.items() if value})
    return image
