"""Bars of quality by scheme, as in the paper's Fig. 1."""

from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError
from npbsrn.reproduction.report import Cell, Report
from npbsrn.reproduction.tables import BICUBIC
from npbsrn.storage.drawing import make_figure, save_figure


def draw_bars(report: Report, path: Path) -> None:
    """Draw PSNR on each test set at each scale, a bar for each row; a line across it is what the paper prints.

    Parameters
    ----------
    report : Report
    path : path
        Of the picture; the suffix chooses the format.

    Raises
    ------
    UsageError
        If Matplotlib is missing, or there is nothing to draw.
    """
    places = list(dict.fromkeys((cell.scale, cell.set) for cell in report.cells if cell.psnr is not None))
    if not places:
        raise UsageError(f"{report.table} has no figures to draw yet; train it first")
    figure = make_figure(2.6 * len(places) + 1, 3.6)
    for axes, (scale, name) in zip(figure.subplots(1, len(places), squeeze=False)[0], places, strict=True):
        draw_place(axes, [cell for cell in report.cells if (cell.scale, cell.set) == (scale, name)])
        axes.set_title(f"{name} x{scale}")
    figure.axes[0].set_ylabel("PSNR on Y, dB")
    save_figure(figure, path)


def draw_place(axes: Any, cells: list[Cell]) -> None:
    """The bars of one test set at one scale."""
    for number, cell in enumerate(cells):
        if cell.psnr is not None:
            axes.bar(number, cell.psnr, color="0.7" if cell.row == BICUBIC else f"C{number - 1}")
        if cell.paper_psnr is not None and cell.note != "misprint":
            axes.hlines(cell.paper_psnr, number - 0.4, number + 0.4, color="black")
    trusted = [cell.paper_psnr for cell in cells if cell.note != "misprint"]
    seen = [value for value in [*trusted, *(cell.psnr for cell in cells)] if value is not None]
    axes.set_ylim(min(seen) - 0.5, max(seen) + 0.3)  # differences are small beside the whole
    axes.set_xticks(range(len(cells)), [cell.label for cell in cells], rotation=60, ha="right")
