"""Read and write picture files; the border between Pillow's modes and arrays."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from npbsrn.errors import PictureError
from npbsrn.files import atomic_write, check_folder_of

Array = np.ndarray[Any, Any]

# Suffixes that npbsrn reads and writes, with Pillow's name of the format.
FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".ppm": "PPM", ".pgm": "PPM",
}  # fmt: skip
HOLD_ALPHA = {"PNG", "WEBP", "TIFF"}
HOLD_16_BITS = {".png", ".tif", ".tiff", ".pgm"}


def open_picture(path: Path | str) -> Image.Image:
    """Read and decode a picture file, upright (its EXIF orientation is applied).

    Raises
    ------
    PictureError
        If the file is missing, is no picture, or is damaged.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1:
                warnings.warn(f"{path} holds several pictures: only the first is taken", stacklevel=2)
            image.load()
            if image.mode == "F":
                raise PictureError(f"{path} holds floats of no fixed range; convert it to 8 or 16 bits first")
            return ImageOps.exif_transpose(image)
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"there is no file {path}; name a picture or a folder of pictures") from None
    except IsADirectoryError:
        raise PictureError(f"{path} is a folder; name a picture") from None
    except PermissionError:
        raise PictureError(f"{path} may not be read; check its permissions") from None
    except UnidentifiedImageError:
        known = ", ".join(sorted({suffix[1:] for suffix in FORMATS}))
        raise PictureError(f"{path} is not a picture that can be read; known formats are {known}") from None
    except Image.DecompressionBombError:
        raise PictureError(f"{path} is too large to be opened safely; cut it into smaller pictures first") from None
    except Exception as error:  # decoders raise whatever damage provokes in them
        raise PictureError(f"{path} is damaged ({error}); get a good copy of it") from None


def read_rgb(path: Path | str) -> Array:
    """Read a picture file as 8-bit colour; grey is repeated to three channels, alpha is dropped.

    Returns
    -------
    picture : (H, W, 3) uint8
    """
    array = from_pillow(open_picture(path))
    if array.dtype == np.uint16:
        array = np.round(array / 257).astype(np.uint8)
    return np.repeat(array[:, :, None], 3, axis=2) if array.ndim == 2 else np.ascontiguousarray(array[:, :, :3])


def from_pillow(image: Image.Image) -> Array:
    """Turn a Pillow image of any mode into an array.

    Returns
    -------
    picture : (H, W) or (H, W, 3) or (H, W, 4), uint8; or (H, W) uint16 for 16-bit grey
    """
    if image.mode.startswith("I"):
        return np.clip(np.asarray(image, dtype=np.int64), 0, 65535).astype(np.uint16)
    if image.mode in ("1", "L"):
        target = "RGBA" if "transparency" in image.info else "L"
    elif image.mode in ("P", "PA", "RGBA", "RGBa", "LA", "La"):
        target = "RGBA" if image.has_transparency_data else "RGB"
    elif image.mode == "F":
        raise PictureError("32-bit float pictures have no fixed range; scale to 0..1 and pass an array instead")
    else:
        target = "RGBA" if image.has_transparency_data else "RGB"
    return np.asarray(image.convert(target))


def to_pillow(picture: Array, like: Image.Image) -> Image.Image:
    """Turn an array as `from_pillow` makes them into a Pillow image with the colour profile of `like`."""
    image = Image.fromarray(picture)
    if like.mode in ("LA", "La"):
        image = image.convert("LA")
    profile = like.info.get("icc_profile")
    if profile and like.mode not in ("CMYK", "YCbCr", "LAB", "HSV"):
        image.info["icc_profile"] = profile
    return image


def check_output(path: Path | str, image: Image.Image | None = None) -> str:
    """Refuse, before any work is done, an output that could not be written.

    Parameters
    ----------
    path : path
        The file to be written.
    image : Pillow image, optional
        A picture of the mode to be written; alpha and 16 bits must fit the format.

    Returns
    -------
    format : str
        Pillow's name of the file format.

    Raises
    ------
    PictureError
        If the suffix is unknown, the folder is missing, or the format cannot hold the picture.
    """
    path = Path(path)
    form = FORMATS.get(path.suffix.lower())
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder; name a file")
    if form is None:
        raise PictureError(f"cannot write {path}: choose a suffix among {', '.join(FORMATS)}")
    check_folder_of(path, PictureError)
    if image is not None and image.has_transparency_data and form not in HOLD_ALPHA:
        raise PictureError(f"{path}: {form} holds no transparency; write a .png or .webp, or flatten the input")
    if image is not None and image.mode.startswith("I") and path.suffix.lower() not in HOLD_16_BITS:
        raise PictureError(f"{path}: {form} holds no 16-bit grey here; write a .png, .tif or .pgm")
    return form


def write_picture(image: Image.Image, path: Path | str) -> None:
    """Write a picture file, whole or not at all; the format follows the suffix.

    Raises
    ------
    PictureError
        If the format cannot hold the picture, or the file cannot be written.
    """
    form = check_output(path, image)
    options: dict[str, Any] = {"icc_profile": image.info.get("icc_profile")}
    if form == "JPEG":
        options.update(quality=95, subsampling=0)
    elif form == "WEBP":
        options.update(quality=95)
    try:
        with atomic_write(path) as file:
            image.save(file, form, **options)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PictureError(f"cannot write {path}: {reason}; nothing was left behind") from None
