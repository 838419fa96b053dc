"""How well an enlarged picture, reduced again, gives back the original."""

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from npbsrn.errors import UsageError
from npbsrn.images.alpha import over
from npbsrn.images.metrics import psnr
from npbsrn.images.picture import Picture
from npbsrn.images.resample import enlarged_side, resize_to
from npbsrn.images.samples import to_fractions
from npbsrn.images.saving import WHITE

Array = np.ndarray[Any, Any]

WINDOW = 5  # pixels: the side of the squares that are compared to find the worst place
LEVELS = 255  # of the original, in which differences are told, whatever its depth


@dataclass(frozen=True)
class Worst:
    """Where the error is largest.

    Parameters
    ----------
    x, y : int
        A pixel of the original, from the top left corner.
    levels : float
        Root mean square of the error in the 5x5 pixels around, of 255.
    """

    x: int
    y: int
    levels: float


@dataclass(frozen=True)
class Check:
    """How a result differs from its original.

    Parameters
    ----------
    width, height : int
        Of the original.
    scale : float
        Of the result.
    psnr : float
        In dB, over all pixels and colours.
    alpha_psnr : float, optional
        That of the transparency.
    worst : Worst
    shift : dict of str to float
        By colour, by how much the result is brighter than the original in the mean, in levels of 255.
    """

    width: int
    height: int
    scale: float
    psnr: float
    alpha_psnr: float | None
    worst: Worst
    shift: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """In a form that JSON can hold: infinite figures become None."""
        figures = {name: value if math.isfinite(value) else None for name, value in self._figures().items()}
        size = {"width": self.width, "height": self.height, "scale": self.scale}
        return {**size, **figures, "worst": vars(self.worst), "shift": self.shift}

    def _figures(self) -> dict[str, float]:
        return {"psnr": self.psnr} | ({} if self.alpha_psnr is None else {"alpha_psnr": self.alpha_psnr})

    def __str__(self) -> str:
        """A line for each figure."""
        names = {"psnr": "PSNR        ", "alpha_psnr": "of alpha    "}
        lines = [f"{names[name]} {value:.2f} dB" for name, value in self._figures().items()]
        place = f"x {self.worst.x}, y {self.worst.y}"
        lines.append(f"worst place  {place}: {self.worst.levels:.1f} levels in {WINDOW}x{WINDOW} pixels")
        shifts = ", ".join(f"{name} {value:+.2f}" for name, value in self.shift.items())
        return "\n".join([*lines, f"mean shift   {shifts} levels"])


def check(original: Picture, result: Picture) -> Check:
    """Reduce a result to the size of its original by antialiased bicubic interpolation, and compare.

    That is how low-resolution pictures are made for training and evaluation. Nothing is rounded. Of pictures with
    transparency, colours count as far as they are visible. If only one of the two has any, it is laid over white.

    Parameters
    ----------
    original, result : Picture

    Raises
    ------
    UsageError
        If the result's sides are not the original's times one scale of at least 1, within a pixel.

    Warns
    -----
    UserWarning
        If the colour profiles differ, so that equal samples are not equal colours.
    """
    scale = scale_of((original.width, original.height), (result.width, result.height))
    if original.tags.icc != result.tags.icc:
        warnings.warn("the pictures have different colour profiles: samples are compared, not colours", stacklevel=2)
    original, result = _alike(original, result)
    own, own_alpha = _visible(original)
    reduced, reduced_alpha = (
        None if part is None else resize_to(part, original.height, original.width, dtype=np.float32)
        for part in _visible(result)
    )
    assert reduced is not None
    error = to_fractions(reduced).astype(np.float64) - to_fractions(own)
    names = ("grey",) if error.shape[2] == 1 else ("red", "green", "blue")
    alpha_psnr = None
    if own_alpha is not None and reduced_alpha is not None:
        alpha_psnr = psnr(reduced_alpha, to_fractions(own_alpha), 1.0)
    return Check(
        original.width, original.height, scale, psnr(error, np.zeros_like(error), 1.0), alpha_psnr, _worst(error),
        {name: float(value) * LEVELS for name, value in zip(names, error.mean(axis=(0, 1)), strict=True)},
    )  # fmt: skip


def scale_of(small: tuple[int, int], large: tuple[int, int]) -> float:
    """The scale that makes one size of another, as short a number as fits.

    Raises
    ------
    UsageError
        If there is none of at least 1 that fits both sides within a pixel.
    """
    sides = list(zip(small, large, strict=True))
    low, high = max((b - 1) / a for a, b in sides), min((b + 1) / a for a, b in sides)
    of_small, of_large = (f"{width}x{height}" for width, height in (small, large))
    if any(b < a for a, b in sides):
        raise UsageError(f"the result has {of_large} pixels, fewer than the original's {of_small}; name IN, then OUT")
    if low > high:
        raise UsageError(f"{of_large} pixels are no enlargement of {of_small} by one scale; name IN, then its own OUT")
    for unit in (1, 10, 100, 1000):
        scale = max(1, math.ceil(max((b - 0.5) / a for a, b in sides) * unit) / unit)
        if all(enlarged_side(a, scale) == b for a, b in sides):
            return float(scale)
    return math.sqrt(math.prod(b / a for a, b in sides))


def _alike(*pictures: Picture) -> list[Picture]:
    """Pictures all of grey, or all of colours, and all with or without alpha."""
    pictures = tuple(replace(p, alpha=None) if p.opaque() else p for p in pictures)
    if any(picture.alpha is None for picture in pictures):
        pictures = tuple(p if p.alpha is None else over(p, WHITE) for p in pictures)
    grey = all(picture.grey for picture in pictures)
    return [replace(p, colour=_channels(p.colour, 1 if grey else 3)) for p in pictures]


def _channels(colour: Array, count: int) -> Array:
    return colour if colour.ndim == 3 else np.repeat(colour[:, :, None], count, axis=2)


def _visible(picture: Picture) -> tuple[Array, Array | None]:
    """Colours, times alpha where there is any; and alpha."""
    if picture.alpha is None:
        return picture.colour, None
    return to_fractions(picture.colour) * to_fractions(picture.alpha)[:, :, None], picture.alpha


def _worst(error: Array) -> Worst:
    from scipy.ndimage import uniform_filter

    around = uniform_filter(np.mean(error**2, axis=2), WINDOW, mode="nearest")
    y, x = np.unravel_index(np.argmax(around), around.shape)
    return Worst(int(x), int(y), math.sqrt(max(0.0, float(around[y, x]))) * LEVELS)
