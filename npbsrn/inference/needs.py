"""How much memory an enlargement takes, known before it begins."""

import math

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.layout import Layout
from npbsrn.inference.ensemble import WIDER
from npbsrn.inference.runners import FLOAT, Runner
from npbsrn.runtime import buffers
from npbsrn.runtime.memory import available_bytes

# Bytes that `npbsrn.images.alpha.fill_colour` takes for a pixel: colour and weights of all levels, as floats.
FILLING = 60


def needed_bytes(
    layout: Layout, runner: Runner, threads: int | None = None, tile: int | None = None, ensemble: bool = False
) -> int:
    """Memory for enlarging a picture and for writing the result, in addition to the picture itself.

    Parameters
    ----------
    layout : Layout
        Of the picture.
    runner : Runner
    threads, tile, ensemble
        See `npbsrn.inference.upscaling.enlarge`.

    Returns
    -------
    need : int
        Bytes. At most; the packed engine takes smaller tiles where there is less.
    """
    most, result = result_bytes(layout), layout.itemsize * layout.channels
    if ensemble:
        sums = WIDER[{1: "uint8", 2: "uint16", 4: "float32"}[layout.itemsize]]
        most += result + layout.channels * np.dtype(sums).itemsize
    most = max(most, 2 * result + layout.itemsize)  # while it is encoded
    pixels = math.ceil(layout.width * layout.height * runner.scale**2)
    # Of the picture's own size: grey as three channels of floats, what `fill_colour` takes, and two turns.
    each = 3 * FLOAT * layout.grey + FILLING * layout.filled + 2 * result * ensemble
    own = layout.width * layout.height * each
    return pixels * most + own + runner.needed_bytes(layout.height, layout.width, threads, tile)


def result_bytes(layout: Layout) -> int:
    """Memory of a pixel of the result, while it is computed."""
    size = layout.itemsize
    if layout.grey:  # three channels of floats, their mean, and that as samples
        most = 3 * FLOAT + FLOAT + size
    elif layout.filled:  # alpha; colour that has flowed under transparent pixels, in floats; and that as samples
        most = size + 3 * FLOAT + 3 * size
    else:
        most = 3 * size
    if layout.alpha:
        most = max(most + size, 3 * size + 5 * size)  # of alpha: three channels, its neighbours' range, the result
    return most


def refuse_need(layout: Layout, need: int, scale: float, cure: str) -> None:
    """Refuse a picture that needs more memory than there is.

    Raises
    ------
    TooLargeError
        With what to do beside taking a smaller picture: `cure`, if there is any.
    """
    available = available_bytes()
    if available is not None and need > available + buffers.held():
        raise TooLargeError(
            f"{layout.width}x{layout.height} pixels need {need / 1e9:.2f} GB of memory at x{scale:g}, and "
            f"{available / 1e9:.2f} GB are available; take a smaller picture or scale{cure and f', or {cure}'}"
        )
