"""Enlarge one picture in any form and return the same kind."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from os import PathLike
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.errors import UsageError
from npbsrn.images.alpha import fill_colour, within_neighbours
from npbsrn.images.picture import Picture, split
from npbsrn.images.reading import from_pillow, read_picture
from npbsrn.images.samples import PEAKS, to_fractions, to_samples
from npbsrn.images.writing import to_pillow
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.choose import Source
from npbsrn.inference.ensemble import mean_of_turns
from npbsrn.inference.runners import Runner
from npbsrn.runtime.progress import Progress, part_of

Array = np.ndarray[Any, Any]
Given = str | PathLike[str] | Image.Image | Array

SMALLEST_TILE = 16  # pixels: such tiles are a fortieth of what is computed for them


def upscale(
    img: Given,
    scale: float | None = None,
    model: Source = None,
    *,
    engine: str = "auto",
    tile: int | str = "auto",
    threads: int | None = None,
    ensemble: bool = False,
    progress: Progress | None = None,
) -> Any:
    """Enlarge a picture.

    Parameters
    ----------
    img : path, Pillow image or array
        An array is (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), of uint8 or uint16, or floating in [0, 1]. The fourth
        channel is alpha; the colour of transparent pixels is ignored. Grey and alpha each pass as three equal channels
        and come back as one. A file with 16 bits per channel comes back with 8: see `npbsrn.upscale_file`.
    scale : float, optional
        Factor for both axes, above 1 and at most 16: by default the scale of the weights, or 4. Where the model has no
        network for it, networks and bicubic resizing are composed (`npbsrn.inference.any_scale`); sides are rounded
        to the nearest whole number, halves up.
    model : Model, name, path, "bicubic" or a `Runner`, optional
        A name of `npbsrn.shipped.MODELS`: "clean", the default, "fast", "photo" or "bsrn". "bicubic" is
        rounded once, at the end; the protocol of `evaluate` rounds it after each axis. A `Model` is packed when it
        first runs and not read again, so its arrays must not change after that.
    engine : {"auto", "packed", "reference"}
        The packed engine runs networks on bits; the reference runs any network, with the float operations of training.
        "auto" takes the packed engine where it can. Fewer than a thousandth of their 8-bit values differ.
    tile : int or "auto"
        Side of the tiles into which a large picture is cut, in its own pixels, at least 16. Smaller tiles take less
        memory and more work at their margins. With the packed engine the result is the same whatever the tiles.
    threads : int, optional
        By default ``$NPBSRN_NUM_THREADS``, or all CPUs that the process may use. It does not affect the result.
    ensemble : bool
        Whether the result is the mean of those of the picture's eight turns and flips. It takes eight times as long,
        and three times the memory of the result.
    progress : callable, optional
        Called in this thread as ``progress(done, total)``, in pixels of the result: by the packed engine a hundred
        times or so for a megapixel, by the reference behind each tile, and at the end with ``done == total``. `done`
        never falls. An exception that it raises ends the work, and comes out of here.

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
    runner = runner_for(model, scale, engine)
    how = check_threads(threads), check_tile(tile), ensemble, progress
    if isinstance(img, np.ndarray):
        return _upscale_array(img, runner, *how)
    if not isinstance(img, Image.Image | str | PathLike):
        raise UsageError(f"a picture is a path, a Pillow image or a NumPy array, not {type(img).__name__}")
    picture = from_pillow(img) if isinstance(img, Image.Image) else read_picture(img)
    return to_pillow(enlarge(picture, runner, *how))


def enlarge(
    picture: Picture,
    runner: Runner,
    threads: int | None = None,
    tile: int | None = None,
    ensemble: bool = False,
    progress: Progress | None = None,
) -> Picture:
    """Enlarge a picture, or with `ensemble` all its turns and flips, whose mean is the result."""

    def one(picture: Picture, progress: Progress | None) -> Picture:
        return _enlarge(picture, runner, threads, tile, progress)

    return mean_of_turns(one, picture, runner.scale, progress) if ensemble else one(picture, progress)


def _enlarge(
    picture: Picture, runner: Runner, threads: int | None, tile: int | None, progress: Progress | None
) -> Picture:
    """Enlarge one picture.

    Colour first flows outwards under transparent pixels, so that their own colour, which is arbitrary, leaves no fringe
    on visible ones.
    """

    def run(samples: Array, progress: Progress | None) -> Array:
        return runner.run(np.ascontiguousarray(samples), threads, tile, progress)

    def limit(large: Array, alpha: Array) -> Array:
        return within_neighbours(large, alpha, runner.scale)

    if picture.alpha is None:
        return enlarge_filled(picture, picture.colour, run, None, progress)
    filled = fill_colour(picture.colour, picture.alpha)
    return enlarge_filled(picture, filled, run, limit if np.ptp(picture.alpha) else None, progress)


def enlarge_filled(
    picture: Picture,
    filled: Array,
    run: Callable[[Array, Progress | None], Array],
    limit: Callable[[Array, Array], Array] | None,
    progress: Progress | None,
) -> Picture:
    """Enlarge a picture, or some rows of it, with colour that has flowed under transparent pixels.

    Parameters
    ----------
    picture : Picture
    filled : (H, W) or (H, W, 3)
        Its colour, of the same dtype or float32.
    run : callable
        Of (H, W, 3) samples and a callback; grey passes as three equal channels, and so does alpha.
    limit : callable, optional
        Of an enlarged alpha and alpha, `npbsrn.images.alpha.within_neighbours`; None where alpha is everywhere the
        same.
    progress : callable, optional
    """
    dtype, alpha = picture.colour.dtype, picture.alpha
    parts = 1 if limit is None else 2
    if alpha is not None and limit is not None:  # by one of three equal channels: less memory than their mean
        large = run(np.repeat(alpha[:, :, None], 3, axis=2), part_of(progress, 0, parts))
        alpha = limit(large[:, :, 1], alpha)
        del large
    told = part_of(progress, parts - 1, parts)
    if picture.grey:
        colour = np.mean(run(np.repeat(to_fractions(filled)[:, :, None], 3, axis=2), told), axis=2)
    else:
        colour = run(filled, told)
    if alpha is not None and limit is None:
        alpha = np.full(colour.shape[:2], alpha[0, 0])
    return replace(picture, colour=colour if colour.dtype == dtype else to_samples(colour, dtype), alpha=alpha)


def check_threads(threads: int | None) -> int | None:
    """Refuse what is no number of threads."""
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, Integral) or threads < 1):
        raise UsageError(f"threads must be a whole number above 0, not {threads!r}")
    return None if threads is None else int(threads)


def check_tile(tile: int | str) -> int | None:
    """Refuse what is no side of a tile; None stands for "auto"."""
    if tile == "auto":
        return None
    if isinstance(tile, bool) or not isinstance(tile, Integral) or tile < SMALLEST_TILE:
        raise UsageError(f'tile must be "auto" or a whole number of at least {SMALLEST_TILE}, not {tile!r}')
    return int(tile)


def _upscale_array(array: Array, runner: Runner, *how: Any) -> Array:
    _check_array(array)
    if array.ndim == 3 and array.shape[2] == 1:
        return _upscale_array(array[:, :, 0], runner, *how)[:, :, None]
    kind = array.dtype.newbyteorder("=") if array.dtype.name in PEAKS else np.dtype(np.float32)
    enlarged = enlarge(split(array.astype(kind, copy=False)), runner, *how)
    return enlarged.samples().astype(array.dtype, copy=False)


def _check_array(array: Array) -> None:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise UsageError(f"a picture has shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), not {array.shape}")
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
