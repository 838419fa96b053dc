"""Enlarge a picture, reduced first, by several models, and find a crop that shows the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from npbsrn.datasets.pairs import Pair
from npbsrn.errors import UsageError
from npbsrn.images.metrics import compare
from npbsrn.images.picture import Picture
from npbsrn.inference.evaluation import choose_judged, read_judged
from npbsrn.inference.upscaling import enlarge

Array = np.ndarray[Any, Any]

ORIGINAL = "original"
SHARE = 5  # of the shorter side: the side of a crop that is not given
NAMES = ("weights", "best", "packed", "checkpoint")  # of files in a run's folder, which is what names the model


class Crop(NamedTuple):
    """A place in the large picture, in pixels."""

    x: int
    y: int
    width: int
    height: int

    def of(self, picture: Array) -> Array:
        """The pixels."""
        return picture[self.y : self.y + self.height, self.x : self.x + self.width]


@dataclass(frozen=True)
class Result:
    """A model's picture.

    Parameters
    ----------
    label : str
    picture : (H, W, 3) uint8
    psnr, ssim : float or None
        Of the whole picture, by the protocol of the literature; None of the original.
    """

    label: str
    picture: Array
    psnr: float | None = None
    ssim: float | None = None

    @property
    def figures(self) -> str:
        """As they are printed."""
        return "PSNR / SSIM" if self.psnr is None else f"{self.psnr:.2f} dB / {self.ssim:.4f}"


def enlarge_by_all(path: str | PathLike[str], models: Sequence[str], scale: int) -> list[Result]:
    """Reduce a picture, and enlarge it again by each model.

    Parameters
    ----------
    path : path
        Of a picture, which is cropped to a multiple of the scale.
    models : sequence of str
        As for `npbsrn.upscale`, or ``LABEL=MODEL``.
    scale : {2, 3, 4}

    Returns
    -------
    results : list of Result
        In the order of the models; the original is the last.

    Raises
    ------
    UsageError, PictureError, WeightsError
        If a model, the picture or the scale cannot be used.
    """
    named = [split_label(model) for model in models]
    labels = [label for label, _ in named]
    if ORIGINAL in labels:
        raise UsageError(f"the label {ORIGINAL} is the picture's own; choose another one, as in A=clean")
    if len(set(labels)) < len(labels):
        raise UsageError(f"each model needs a label of its own, as in A=clean B=fast; {', '.join(labels)} are not")
    runners = [choose_judged(model, scale) for _, model in named]
    lr, hr = read_judged(Pair(Path(path).name, Path(path), None), scale)
    pictures = [enlarge(Picture(lr), runner).colour for runner in runners]
    judged = [Result(label, own, *compare(own, hr, scale)) for label, own in zip(labels, pictures, strict=True)]
    return [*judged, Result(ORIGINAL, hr)]


def split_label(text: str) -> tuple[str, str]:
    """Label and model of ``LABEL=MODEL``; without a label, a file's name or that of its run."""
    label, equals, model = text.partition("=")
    if equals and label and model and not Path(text).exists():
        return label, model
    path = Path(text)
    return (path.parent.name if path.stem in NAMES and path.parent.name else path.stem) or text, text


def checked_crop(crop: Crop, height: int, width: int) -> Crop:
    """Refuse a crop that does not lie in the picture.

    Raises
    ------
    UsageError
    """
    inside = min(crop.x, crop.y) >= 0 and crop.x + crop.width <= width and crop.y + crop.height <= height
    if min(crop.width, crop.height) < 1 or not inside:
        shown = ",".join(map(str, crop))
        raise UsageError(f"the crop {shown} does not lie in the picture of {width}x{height}; give x,y,width,height")
    return crop


def telling_crop(results: Sequence[Result]) -> Crop:
    """The square where the last model is furthest ahead of the first; of one alone, where its errors are largest.

    That is where the sum of the first's squared errors exceeds the other's by most; of equals, the uppermost and
    leftmost.
    """
    *models, truth = (result.picture.astype(np.float64) for result in results)
    ahead = ((models[0] - truth) ** 2).sum(axis=2)
    if len(models) > 1:
        ahead -= ((models[-1] - truth) ** 2).sum(axis=2)
    side = max(1, min(ahead.shape) // SHARE)
    sums = np.pad(ahead.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    y, x = np.unravel_index(squares.argmax(), squares.shape)
    return Crop(int(x), int(y), side, side)
