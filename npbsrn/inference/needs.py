"""How much memory an enlargement takes, known before it begins."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.picture import Picture
from npbsrn.inference.ensemble import WIDER
from npbsrn.inference.runners import SIDE, Runner
from npbsrn.runtime import buffers
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.threads import thread_count

REFERENCE = 1 << 30  # bytes of working memory of one of the reference's tiles: about, with 48 channels at x4
FLOAT = 4  # bytes


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
    filled = picture.alpha is not None and bool(np.ptp(picture.alpha))
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
    return pixels * most + working_bytes(kind.width, kind.height, runner, threads or thread_count(), tile)


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


def working_bytes(width: int, height: int, runner: Any, threads: int, tile: int | None) -> int:
    """What the runner takes beside its result, for a picture of these extents, or such a part of one."""
    if hasattr(runner, "steps"):  # a composed scale: of its last network, which has the most pixels
        runner = runner.steps[-1]
    if hasattr(runner, "working_bytes"):
        from npbsrn.packed.engine import SIDES

        return int(runner.working_bytes(height, width, tile or SIDES[0], min(threads, height)))
    if hasattr(runner, "reach"):
        tiles = math.ceil(height / (tile or SIDE)) * math.ceil(width / (tile or SIDE))
        return REFERENCE * min(threads, tiles) + 7 * FLOAT * width * height * int(runner.scale) ** 2
    return 0


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
