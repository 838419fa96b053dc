"""How much memory an enlargement takes, known before it begins."""

import math
from typing import Any

import numpy as np

from npbsrn.images.picture import Picture
from npbsrn.inference.ensemble import WIDER
from npbsrn.inference.runners import SIDE, Runner
from npbsrn.runtime.threads import thread_count

REFERENCE = 1 << 30  # bytes of working memory of one of the reference's tiles: about, with 48 channels at x4
FLOAT = 4  # bytes


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
    filled = picture.alpha is not None and bool(np.ptp(picture.alpha))
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
    return pixels * most + _working_bytes(picture, runner, threads or thread_count(), tile)


def _working_bytes(picture: Picture, runner: Any, threads: int, tile: int | None) -> int:
    """What the runner takes beside its result."""
    if hasattr(runner, "steps"):  # a composed scale: of its last network, which has the most pixels
        runner = runner.steps[-1]
    if hasattr(runner, "working_bytes"):
        from npbsrn.packed.engine import SIDES

        side = tile or SIDES[0]
        return int(runner.working_bytes(picture.height, picture.width, side, min(threads, picture.height)))
    if hasattr(runner, "reach"):
        tiles = math.ceil(picture.height / (tile or SIDE)) * math.ceil(picture.width / (tile or SIDE))
        return REFERENCE * min(threads, tiles) + 7 * FLOAT * picture.width * picture.height * int(runner.scale) ** 2
    return 0
