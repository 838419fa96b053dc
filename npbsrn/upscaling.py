"""Enlarge one picture, whatever form it comes in, and give back the same kind."""

from numbers import Integral
from os import PathLike, fspath
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.engines import engine_of, engine_of_file
from npbsrn.errors import UsageError
from npbsrn.inference import Engine, Runnable, run
from npbsrn.models import Model, check_scale, load
from npbsrn.pictures import from_pillow, open_picture, to_pillow
from npbsrn.resize import resize
from npbsrn.samples import PEAKS, to_fractions, to_samples

Array = np.ndarray[Any, Any]
Picture = str | PathLike[str] | Image.Image | Array
Source = Model | Engine | str | PathLike[str] | None

SMALLEST_TILE = 16  # pixels: such tiles are a fortieth of what is computed for them
ENGINES = ("auto", "packed", "reference")


def upscale(
    img: Picture,
    scale: int = 4,
    model: Source = None,
    *,
    engine: str = "auto",
    tile: int | str = "auto",
    threads: int | None = None,
) -> Any:
    """Enlarge a picture.

    Parameters
    ----------
    img : path, Pillow image or array
        An array is (H, W), (H, W, 3) or (H, W, 4), of uint8 or uint16, or floating in [0, 1]. The fourth channel is
        alpha, and is enlarged bicubically; grey passes as three equal channels and comes back as grey.
    scale : {2, 3, 4}
        Factor for both axes.
    model : Model, path, "bicubic" or what `choose_model` gives, optional
        By default the weights that come with the package for `scale`. "bicubic" is rounded once, at the end; the
        protocol of `evaluate` rounds it after each axis. A `Model` is packed when it is first run and is not looked
        at again: its arrays are not to be changed then.
    engine : {"auto", "packed", "reference"}
        The packed engine runs networks on bits; the reference runs the float operations that training is made of, and
        any network. "auto" takes the packed one where it can. Less than a thousandth of their 8-bit values differ.
    tile : int or "auto"
        Side of the tiles in which a large picture passes, in its own pixels, at least 16: less memory, and more work at
        their margins. With the packed engine the result is the same whatever the tiles.
    threads : int, optional
        By default ``$NPBSRN_NUM_THREADS``, or all CPUs that the process may use. The result does not depend on it.

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
    chosen = choose_model(model, scale, engine)
    how = _threads(threads), _tile(tile)
    if isinstance(img, np.ndarray):
        return _upscale_array(img, scale, chosen, *how)
    if not isinstance(img, Image.Image | str | PathLike):
        raise UsageError(f"a picture is a path, a Pillow image or a NumPy array, not {type(img).__name__}")
    image = img if isinstance(img, Image.Image) else open_picture(fspath(img))
    return to_pillow(_upscale_array(from_pillow(image), scale, chosen, *how), image)


def choose_model(model: Source, scale: int, engine: str = "auto") -> Runnable:
    """Load the model that an argument names, see that its scale fits, and make ready what runs it.

    Returns
    -------
    model : Engine, Model or "bicubic"

    Raises
    ------
    UsageError
        If `scale` is unknown or not the model's, or `engine` is unknown or cannot run the model.
    """
    check_scale(scale)
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}; choose among {', '.join(ENGINES)}")
    if isinstance(model, str) and model == "bicubic":
        if engine != "auto":
            raise UsageError(f'"bicubic" is no network that the engine {engine!r} could run; leave the engine out')
        return "bicubic"
    chosen: Engine | Model | None
    if isinstance(model, Engine):
        if engine == "reference":
            raise UsageError("an engine is no model that the reference could run; name the model")
        chosen = model
    elif isinstance(model, Model):
        chosen = model if engine == "reference" else engine_of(model, engine)
    else:
        chosen = engine_of_file(model, scale, engine)
        if chosen is None:
            loaded = load(model, scale)
            chosen = loaded if engine == "reference" else engine_of(loaded, engine)
    if chosen.scale != scale:
        raise UsageError(f"the model enlarges x{chosen.scale}, not x{scale}; choose that scale or another model")
    return chosen


def _threads(threads: int | None) -> int | None:
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, Integral) or threads < 1):
        raise UsageError(f"threads must be a whole number above 0, not {threads!r}")
    return None if threads is None else int(threads)


def _tile(tile: int | str) -> int | None:
    if tile == "auto":
        return None
    if isinstance(tile, bool) or not isinstance(tile, Integral) or tile < SMALLEST_TILE:
        raise UsageError(f'tile must be "auto" or a whole number of at least {SMALLEST_TILE}, not {tile!r}')
    return int(tile)


def _upscale_array(array: Array, scale: int, model: Runnable, threads: int | None, tile: int | None) -> Array:
    _check_array(array)
    if array.ndim == 2:
        colour = np.repeat(to_fractions(array)[:, :, None], 3, axis=2)
        return to_samples(np.mean(run(model, colour, scale, threads, tile), axis=2), array.dtype)
    kind = array.dtype.newbyteorder("=") if array.dtype.name in PEAKS else np.dtype(np.float32)
    colour = np.ascontiguousarray(array[:, :, :3], kind)
    enlarged = run(model, colour, scale, threads, tile).astype(array.dtype, copy=False)
    if array.shape[2] == 3:
        return enlarged
    alpha = to_samples(resize(to_fractions(array[:, :, 3]), scale), array.dtype)
    return np.concatenate([enlarged, alpha[:, :, None]], axis=2)


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
