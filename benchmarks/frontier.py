"""Points of time and PSNR: which of them are on the frontier, and a plot of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Point:
    """One network, in one number format, by its quickest runtime.

    Parameters
    ----------
    name : str
    by : str
        What runs it.
    threads : int
    seconds : float
    psnrs : dict of float
        In dB, by the name of the set.
    ours : bool
    """

    name: str
    by: str
    threads: int
    seconds: float
    psnrs: Mapping[str, float] = field(default_factory=dict)
    ours: bool = False

    @property
    def psnr(self) -> float:
        """Mean over the sets."""
        return float(np.mean(list(self.psnrs.values())))


def frontier(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats, the quickest first.

    A point is beaten by one that is no slower and no worse, and quicker or better.
    """
    kept: list[Point] = []
    for point in sorted(points, key=lambda p: (p.seconds, -p.psnr)):
        equal = bool(kept) and (point.seconds, point.psnr) == (kept[-1].seconds, kept[-1].psnr)
        if not kept or point.psnr > kept[-1].psnr or equal:
            kept.append(point)
    return kept


def table(points: Sequence[Point]) -> list[str]:
    """Lines of a table of points with the same number of threads, the quickest first; a star is for the frontier."""
    best, sets = frontier(points), list(points[0].psnrs)
    width = max(len(p.name) for p in points)
    lines = [f"      {'':{width}}  {'':22}       ms  {'  '.join(f'{name:>6}' for name in sets)}"]
    for p in sorted(points, key=lambda p: p.seconds):
        star = "*" if p in best else " "
        psnrs = "  ".join(f"{p.psnrs[name]:6.2f}" for name in sets)
        lines.append(f"    {star} {p.name:{width}}  {p.by:22} {p.seconds * 1e3:8.1f}  {psnrs}")
    return lines


def plot(points: Sequence[Point], title: str, path: str | PathLike[str]) -> None:
    """Draw time against PSNR, a panel for each number of threads."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator, ScalarFormatter

    numbers = sorted({p.threads for p in points})
    figure = Figure(figsize=(5.6 * len(numbers), 4.6), layout="constrained")
    axes = figure.subplots(1, len(numbers), sharey=True, squeeze=False)[0]
    for axis, threads in zip(axes, numbers, strict=True):
        own = [p for p in points if p.threads == threads]
        _draw(axis, own)
        low, high = (extreme(p.seconds for p in own) * 1e3 for extreme in (min, max))
        axis.set_xscale("log")
        axis.set_xlim(low / 2, high * 1.5)
        axis.set_xticks([t for t in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if low / 2 < t < high * 1.5])
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("ms for a picture, less is better")
        axis.set_title(f"{threads} thread{'s' if threads > 1 else ''}", fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(f"PSNR, dB, {'mean of ' if len(own[0].psnrs) > 1 else ''}{' and '.join(own[0].psnrs)}")
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _draw(axis: Any, points: Sequence[Point]) -> None:
    best = frontier(points)
    axis.plot([p.seconds * 1e3 for p in best], [p.psnr for p in best], color="0.6", zorder=1)
    for ours, marker, colour, words in ((True, "D", "tab:red", "npbsrn"), (False, "o", "tab:blue", "float networks")):
        own = [p for p in points if p.ours == ours]
        axis.scatter(
            [p.seconds * 1e3 for p in own], [p.psnr for p in own], marker=marker, color=colour, label=words, zorder=2
        )
    for p in points:
        aside = -1 if p in best else 1  # to the upper left of the line, or to the lower right
        axis.annotate(
            p.name, (p.seconds * 1e3, p.psnr), xytext=(aside * 4, -aside * 3), textcoords="offset points",
            ha="right" if p in best else "left", va="bottom" if p in best else "top", fontsize=7,
        )  # fmt: skip
    axis.margins(y=0.12)
    axis.legend(loc="lower right", fontsize=8)
