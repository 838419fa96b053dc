"""The self-ensemble: the mean of a picture's eight turns and flips, each enlarged by itself and turned back."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.picture import Picture
from npbsrn.images.resample import enlarged_side
from npbsrn.images.samples import BAND
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.progress import Progress, part_of

Array = np.ndarray[Any, Any]

TURNS = 8  # quarter turns 0 to 3 of a picture, then of the picture upside down
WIDER = {"uint8": np.uint16, "uint16": np.uint32, "float32": np.uint32}  # hold the sum of eight, in steps of STEPS
STEPS = float(1 << 24)  # to 1 of a float32, which has 24 bits itself


def turned(x: Array, turn: int) -> Array:
    """A view of (H, W) or (H, W, channels), turned or flipped in one of `TURNS` ways."""
    return np.rot90(x[::-1] if turn >= 4 else x, turn % 4)


def turned_back(y: Array, turn: int) -> Array:
    """The inverse of `turned`, a view."""
    upright = np.rot90(y, -(turn % 4))
    return upright[::-1] if turn >= 4 else upright


def mean_of_turns(
    enlarge: Callable[[Picture, Progress | None], Picture],
    picture: Picture,
    scale: float,
    progress: Progress | None = None,
) -> Picture:
    """Enlarge all turns of a picture, and average the results.

    Sums are of whole numbers, so their order does not matter: the mean of a turned picture's turns is the turned mean,
    to the bit. One sum is kept, in twice the memory of a result of whole numbers. It is of results as they are, rounded
    to the picture's own levels.

    Parameters
    ----------
    enlarge : callable
        Of a picture with contiguous samples, which has as much alpha as the picture it returns, and of a callback.
    picture : Picture
    scale : float
    progress : callable, optional
        See `npbsrn.inference.runners.Runner.run`.

    Returns
    -------
    enlarged : Picture
        Whole numbers are rounded halves up.

    Raises
    ------
    TooLargeError
        If the system reports too little memory.

    References
    ----------
    B. Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017, section 3.4.
    """
    parts = _parts(picture)
    _refuse_too_large(picture, parts, scale)
    size = enlarged_side(picture.height, scale), enlarged_side(picture.width, scale)
    sums = [_Sum((*size, *part.shape[2:]), part.dtype) for part in parts]
    for turn in range(TURNS):
        own = [np.ascontiguousarray(turned(part, turn)) for part in parts]
        enlarged = enlarge(Picture(own[0], own[1] if len(own) > 1 else None), part_of(progress, turn, TURNS))
        for total, part in zip(sums, _parts(enlarged), strict=True):
            total.add(turned_back(part, turn))
        del enlarged, part
    colour, *alpha = [total.mean() for total in sums]
    return replace(picture, colour=colour, alpha=alpha[0] if alpha else None)


def _parts(picture: Picture) -> list[Array]:
    return [picture.colour] if picture.alpha is None else [picture.colour, picture.alpha]


def _refuse_too_large(picture: Picture, parts: list[Array], scale: float) -> None:
    """Before the first of eight enlargements, which check themselves what they need beside the sums."""
    bytes_each = sum(part.nbytes + part.size * np.dtype(WIDER[part.dtype.name]).itemsize for part in parts)
    need = bytes_each * scale**2
    available = available_bytes()
    if available is not None and need > available:
        raise TooLargeError(
            f"{picture.width}x{picture.height} pixels need more than {need / 1e9:.2f} GB of memory for the mean of "
            f"eight turns, and {available / 1e9:.2f} GB are available; take a smaller picture, or no ensemble"
        )


class _Sum:
    """The sum of `TURNS` arrays of samples."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.total = np.empty(shape, WIDER[self.dtype.name])
        self.total.fill(0)  # which takes the memory now, so that whoever asks what is available sees it

    def add(self, samples: Array) -> None:
        for top in range(0, len(samples), BAND):
            band = samples[top : top + BAND]
            if self.dtype.kind == "f":
                band = np.rint(band * np.float32(STEPS)).astype(self.total.dtype)
            self.total[top : top + BAND] += band

    def mean(self) -> Array:
        """Of what has been added; nothing can be added any more."""
        if self.dtype.kind == "f":
            return np.multiply(self.total, 1 / (TURNS * STEPS), dtype=self.dtype)
        self.total += TURNS // 2
        self.total //= TURNS
        return self.total.astype(self.dtype)
