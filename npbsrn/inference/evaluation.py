"""Evaluate a model on a folder of pictures by the protocol of the literature."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn import __version__
from npbsrn.datasets.pairs import Pair, find_pairs, read_pair
from npbsrn.errors import PictureError
from npbsrn.images.metrics import compare
from npbsrn.images.picture import Picture
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Bicubic, Runner
from npbsrn.inference.upscaling import enlarge
from npbsrn.models import Model, check_scale
from npbsrn.shipped import DEFAULT

Array = np.ndarray[Any, Any]

PROTOCOL = "Y of BT.601, 8 bits, without SCALE pixels at each border; LR by antialiased bicubic where there is none"


@dataclass(frozen=True)
class Score:
    """PSNR in dB and SSIM of one picture (or their means)."""

    name: str
    psnr: float
    ssim: float


@dataclass(frozen=True)
class Report:
    """Scores of a folder.

    Parameters
    ----------
    model : str
        The model as it was named: a name or a path; of a `Model`, what its card or its network is called.
    folder : str
        The folder's name.
    scale : int
    scores : tuple of Score
        One for each picture, by name.
    ensemble : bool
        Whether results are means of eight turns and flips.
    weights : str, optional
        SHA-256 of the network's arrays.
    """

    model: str
    folder: str
    scale: int
    scores: tuple[Score, ...]
    ensemble: bool = False
    weights: str | None = None

    @property
    def mean(self) -> Score:
        """Mean over the pictures; pictures too small for an SSIM are left out of its mean."""
        ssims = [s.ssim for s in self.scores if not np.isnan(s.ssim)]
        ssim = float(np.mean(ssims)) if ssims else float("nan")
        return Score("mean", float(np.mean([s.psnr for s in self.scores])), ssim)

    def to_dict(self) -> dict[str, Any]:
        """The report in a form that JSON can hold: undefined and infinite figures become None."""

        def entry(score: Score) -> dict[str, Any]:
            figures = {"psnr": score.psnr, "ssim": score.ssim}
            return {"name": score.name} | {k: v if np.isfinite(v) else None for k, v in figures.items()}

        return {
            "model": self.model, "folder": self.folder, "scale": self.scale, "ensemble": self.ensemble,
            "pictures": [entry(s) for s in self.scores], "mean": entry(self.mean), "weights": self.weights,
            "protocol": PROTOCOL.replace("SCALE", str(self.scale)), "npbsrn": __version__,
        }  # fmt: skip

    def to_json(self) -> str:
        """One JSON object."""
        return json.dumps(self.to_dict(), indent=2)

    def __str__(self) -> str:
        """A table."""
        width = max(len(s.name) for s in (*self.scores, self.mean))
        how = ", ensemble of eight turns" if self.ensemble else ""
        lines = [f"{self.model} on {self.folder}, x{self.scale}{how}", f"{'':{width}}   PSNR dB    SSIM"]
        lines += [f"{s.name:{width}}   {s.psnr:7.3f}  {s.ssim:.4f}" for s in (*self.scores, self.mean)]
        return "\n".join(lines)


def evaluate(
    model: Model | str | PathLike[str] | None,
    folder: str | PathLike[str],
    scale: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    *,
    engine: str = "auto",
    ensemble: bool = False,
) -> Report:
    """Evaluate a model on the pictures of a folder.

    HR is cropped to a multiple of `scale`; LR, where the folder has none, is made by antialiased bicubic and rounded
    to 8 bits; the result is rounded to 8 bits; PSNR and SSIM are those of Y (BT.601), without `scale` pixels at each
    border.

    Parameters
    ----------
    model : Model, name, path, "bicubic" or None
        As for `npbsrn.upscale`; None is "clean".
    folder : path
        Any layout of `npbsrn.datasets.pairs.find_pairs`.
    scale : {2, 3, 4}, optional
        By default the model's own; 4 for a name.
    progress : callable, optional
        Called as ``progress(done, total)`` after each picture.
    engine : {"auto", "packed", "reference"}
    ensemble : bool
        As for `npbsrn.upscale`.

    Returns
    -------
    report : Report

    Raises
    ------
    UsageError, DataError, PictureError, WeightsError
        If the scale, the folder, a picture or the weights cannot be used.
    """
    runner = choose_judged(model, scale, engine)
    scale = int(runner.scale)
    name = DEFAULT if model is None else str(model) if isinstance(model, str | PathLike) else runner.name
    pairs = find_pairs(folder, scale, "valid")
    scores = []
    for done, pair in enumerate(pairs, 1):
        lr, hr = read_judged(pair, scale)
        result = enlarge(Picture(lr), runner, ensemble=ensemble).colour
        scores.append(Score(pair.name, *compare(result, hr, scale)))
        if progress:
            progress(done, len(pairs))
    return Report(name, Path(folder).name or str(folder), scale, tuple(scores), ensemble, runner.digest)


def choose_judged(model: Model | str | PathLike[str] | None, scale: int | None, engine: str = "auto") -> Runner:
    """As `choose_runner`; bicubic interpolation is rounded after each axis, as in the literature."""
    runner = choose_runner(model, scale, engine)
    check_scale(runner.scale)  # of a runner of any scale
    return Bicubic(int(runner.scale), by_axis=True) if isinstance(runner, Bicubic) else runner


def read_judged(pair: Pair, scale: int) -> tuple[Array, Array]:
    """As `npbsrn.datasets.pairs.read_pair`, but a picture of which the border is all there is is refused."""
    lr, hr = read_pair(pair, scale)
    if min(hr.shape[:2]) <= 2 * scale:
        raise PictureError(f"{pair.hr} is too small to be judged: nothing is left inside the borders; remove it")
    return lr, hr
