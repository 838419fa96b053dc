"""How much memory an enlargement takes, known before it begins."""

import math
from dataclasses import dataclass

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.picture import Picture
from npbsrn.inference.ensemble import WIDER
from npbsrn.inference.runners import FLOAT, Runner
from npbsrn.runtime import buffers
from npbsrn.runtime.memory import available_bytes

# Bytes that `npbsrn.images.alpha.fill_colour` takes for a pixel: colour and weights of all levels, as floats.
FILLING = 60


@dataclass(frozen=True)
class Kind:
    """What the need of memory depends on.

    Parameters
    ----------
    width, height, itemsize : int
        Of the picture, and of a sample.
    grey, alpha : bool
    filled : bool
        Whether colour may flow under transparent pixels.
    """

    width: int
    height: int
    itemsize: int
    grey: bool
    alpha: bool
    filled: bool

    @property
    def channels(self) -> int:
        """With alpha."""
        return (1 if self.grey else 3) + self.alpha


def kind_of(picture: Picture) -> Kind:
    """The kind of a picture."""
    filled = picture.alpha is not None and not picture.opaque()
    has_alpha = picture.alpha is not None
    return Kind(picture.width, picture.height, picture.colour.itemsize, picture.grey, has_alpha, filled)


def needed_bytes(
    kind: Kind, runner: Runner, threads: int | None = None, tile: int | None = None, ensemble: bool = False
) -> int:
    """Memory for enlarging a picture and for writing the result, in addition to the picture itself.

    Parameters
    ----------
    kind : Kind
        Of the picture.
    runner : Runner
    threads, tile, ensemble
        See `npbsrn.inference.upscaling.enlarge`.

    Returns
    -------
    need : int
        Bytes. At most; the packed engine takes smaller tiles where there is less.
    """
    most, result = result_bytes(kind), kind.itemsize * kind.channels
    if ensemble:
        sums = WIDER[{1: "uint8", 2: "uint16", 4: "float32"}[kind.itemsize]]
        most += result + kind.channels * np.dtype(sums).itemsize
    most = max(most, 2 * result + kind.itemsize)  # while it is encoded
    pixels = math.ceil(kind.width * kind.height * runner.scale**2)
    # Of the picture's own size: grey as three channels of floats, what `fill_colour` takes, and two turns.
    each = 3 * FLOAT * kind.grey + FILLING * kind.filled + 2 * result * ensemble
    own = kind.width * kind.height * each
    return pixels * most + own + runner.needed_bytes(kind.height, kind.width, threads, tile)


def result_bytes(kind: Kind) -> int:
    """Memory of a pixel of the result, while it is computed."""
    size = kind.itemsize
    if kind.grey:  # three channels of floats, their mean, and that as samples
        most = 3 * FLOAT + FLOAT + size
    elif kind.filled:  # alpha; colour that has flowed under transparent pixels, in floats; and that as samples
        most = size + 3 * FLOAT + 3 * size
    else:
        most = 3 * size
    if kind.alpha:
        most = max(most + size, 3 * size + 5 * size)  # of alpha: three channels, its neighbours' range, the result
    return most


def refuse_need(kind: Kind, need: int, scale: float, cure: str) -> None:
    """Refuse a picture that needs more memory than there is.

    Raises
    ------
    TooLargeError
        With what to do beside taking a smaller picture: `cure`, if there is any.
    """
    available = available_bytes()
    if available is not None and need > available + buffers.held():
        raise TooLargeError(
            f"{kind.width}x{kind.height} pixels need {need / 1e9:.2f} GB of memory at x{scale:g}, and "
            f"{available / 1e9:.2f} GB are available; take a smaller picture or scale{cure and f', or {cure}'}"
        )
