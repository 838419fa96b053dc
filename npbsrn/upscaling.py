"""Enlarge one picture, whatever form it comes in, and give back the same kind."""

from os import PathLike, fspath
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.errors import UsageError
from npbsrn.inference import run
from npbsrn.models import Model, check_scale, load
from npbsrn.pictures import from_pillow, open_picture, to_pillow
from npbsrn.resize import resize

Array = np.ndarray[Any, Any]
Picture = str | PathLike[str] | Image.Image | Array

PEAKS = {"uint8": 255.0, "uint16": 65535.0}


def upscale(img: Picture, scale: int = 4, model: Model | str | PathLike[str] | None = None) -> Any:
    """Enlarge a picture.

    Parameters
    ----------
    img : path, Pillow image or array
        An array is (H, W), (H, W, 3) or (H, W, 4), of uint8 or uint16, or floating in [0, 1]. The fourth channel is
        alpha, and is enlarged bicubically; grey passes as three equal channels and comes back as grey.
    scale : {2, 3, 4}
        Factor for both axes.
    model : Model, path or "bicubic", optional
        By default the weights that come with the package for `scale`. "bicubic" is rounded once, at the end; the
        protocol of `evaluate` rounds it after each axis.

    Returns
    -------
    enlarged : Pillow image for a path or a Pillow image; array of the same dtype and number of axes for an array

    Raises
    ------
    UsageError
        If the array's shape, dtype or range, the scale, or the model's scale does not fit.
    PictureError
        If the file cannot be read.
    WeightsError
        If the weights cannot be read.

    Examples
    --------
    >>> import numpy as np, npbsrn
    >>> npbsrn.upscale(np.zeros((5, 7, 3), np.uint8), scale=4).shape
    (20, 28, 3)
    """
    chosen = choose_model(model, scale)
    if isinstance(img, np.ndarray):
        return _upscale_array(img, scale, chosen)
    if not isinstance(img, Image.Image | str | PathLike):
        raise UsageError(f"a picture is a path, a Pillow image or a NumPy array, not {type(img).__name__}")
    image = img if isinstance(img, Image.Image) else open_picture(fspath(img))
    return to_pillow(_upscale_array(from_pillow(image), scale, chosen), image)


def choose_model(model: Model | str | PathLike[str] | None, scale: int) -> Model | str:
    """Load the model that an argument names, and see that its scale fits.

    Returns
    -------
    model : Model or "bicubic"

    Raises
    ------
    UsageError
        If `scale` is unknown or not the model's.
    """
    check_scale(scale)
    if isinstance(model, str) and model == "bicubic":
        return "bicubic"
    chosen = model if isinstance(model, Model) else load(model, scale)
    if chosen.scale != scale:
        raise UsageError(f"the model enlarges x{chosen.scale}, not x{scale}; choose that scale or another model")
    return chosen


def _upscale_array(array: Array, scale: int, model: Model | str) -> Array:
    _check_array(array)
    peak = PEAKS.get(array.dtype.name, 1.0)
    values = array.astype(np.float32) / np.float32(peak)
    colour = values[:, :, :3] if values.ndim == 3 else np.repeat(values[:, :, None], 3, axis=2)
    enlarged = run(model, np.ascontiguousarray(colour), scale)
    if array.ndim == 2:
        enlarged = np.mean(enlarged, axis=2)
    elif array.shape[2] == 4:
        alpha = np.clip(resize(np.ascontiguousarray(values[:, :, 3]), scale), 0, 1)
        enlarged = np.concatenate([enlarged, alpha[:, :, None]], axis=2)
    if peak > 1:
        enlarged = np.floor(enlarged * np.float32(peak) + np.float32(0.5))
    return enlarged.astype(array.dtype)


def _check_array(array: Array) -> None:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise UsageError(f"a picture has shape (H, W), (H, W, 3) or (H, W, 4), not {array.shape}")
    if 0 in array.shape:
        raise UsageError(f"the picture is empty: its shape is {array.shape}")
    if np.issubdtype(array.dtype, np.floating):
        if not np.all(np.isfinite(array)):
            raise UsageError("the picture holds NaN or infinite values; replace them first")
        if array.min() < 0 or array.max() > 1:
            raise UsageError(
                f"a floating picture lies in 0..1, not {array.min():g}..{array.max():g}; divide by its range first"
            )
    elif array.dtype.name not in PEAKS:
        raise UsageError(f"a picture is uint8, uint16 or floating in 0..1, not {array.dtype}; convert it first")
