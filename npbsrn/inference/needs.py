"""How much memory an enlargement takes, known before it begins."""

import math

import numpy as np

from npbsrn.images.picture import Picture
from npbsrn.inference.ensemble import WIDER
from npbsrn.inference.runners import FLOAT, Runner

FILLING = (
    60  # bytes that `npbsrn.images.alpha.fill_colour` takes for a pixel: colour and weights of all levels, as floats
)


def needed_bytes(
    picture: Picture, runner: Runner, threads: int | None = None, tile: int | None = None, ensemble: bool = False
) -> int:
    """Memory for enlarging a picture and for writing the result, in addition to the picture itself.

    Parameters
    ----------
    picture : Picture
    runner : Runner
    threads, tile, ensemble
        See `npbsrn.inference.upscaling.enlarge`.

    Returns
    -------
    need : int
        Bytes. At most; the packed engine takes smaller tiles where there is less.
    """
    pixels = math.ceil(picture.width * picture.height * runner.scale**2)
    size, channels = picture.colour.itemsize, 1 if picture.grey else 3
    result = size * (channels + (picture.alpha is not None))
    filled = picture.alpha is not None and not picture.opaque()
    if picture.grey:  # three channels of floats, their mean, and that as samples
        most = 3 * FLOAT + FLOAT + size
    elif filled:  # alpha; colour that has flowed under transparent pixels, in floats; and that as samples
        most = size + 3 * FLOAT + 3 * size
    else:
        most = 3 * size
    if picture.alpha is not None:
        most = max(most + size, 3 * size + 5 * size)  # of alpha: three channels, its neighbours' range, the result
    if ensemble:
        most += result + (channels + (picture.alpha is not None)) * np.dtype(WIDER[picture.colour.dtype.name]).itemsize
    most = max(most, 2 * result + size)  # while it is encoded
    # Of the picture's own size: grey as three channels of floats, what `fill_colour` takes, and two turns.
    each = 3 * FLOAT * picture.grey + FILLING * filled + 2 * result * ensemble
    own = picture.width * picture.height * each
    return pixels * most + own + runner.needed_bytes(picture.height, picture.width, threads, tile)
