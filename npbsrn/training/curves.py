"""Curves of runs: loss and validation PSNR, over steps and minutes."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from npbsrn.errors import DataError
from npbsrn.storage.drawing import can_draw, make_figure, save_figure

Metrics = list[dict[str, str]]
LOSS, PSNR = "training loss", "validation PSNR on Y, dB"
AXES = {"step": ("step", 1.0), "seconds": ("minutes", 1 / 60)}  # by column: in words, and the factor to that unit


def read_metrics(path: Path) -> Metrics:
    """The lines of a run's ``metrics.csv``, but for a last one that an interrupt has cut.

    Raises
    ------
    DataError
        If the file is missing or no run's.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        rows = list(csv.DictReader(line for line in lines if line.endswith("\n")))
        for row in rows:
            numbers = [
                row["step"],
                row["loss"],
                row["seconds"],
                *(v for k, v in row.items() if k.startswith("psnr") and v),
            ]
            if not all(math.isfinite(float(number)) for number in numbers):
                raise ValueError("a figure that is not finite")
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"there is no {path}; name the folder of a training run") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; name another run") from None
    except (csv.Error, KeyError, TypeError, ValueError):
        raise DataError(f"{path} holds no metrics of a training run; name another run") from None
    return rows


def draw_curves(metrics: Path, picture: Path) -> bool:
    """Draw training loss and validation PSNR over the steps, a line for each validation folder.

    Parameters
    ----------
    metrics : path
        A run's ``metrics.csv``.
    picture : path
        The PNG file to write.

    Returns
    -------
    drawn : bool
        False without Matplotlib, or without a line in `metrics`.
    """
    rows = read_metrics(metrics)
    if not rows or not can_draw():
        return False
    figure = make_figure(7, 6)
    upper, lower = figure.subplots(2, sharex=True)
    _plot(upper, rows, "step", "loss", None)
    for column in (name for name in rows[0] if name.startswith("psnr")):
        _plot(lower, rows, "step", column, column.removeprefix("psnr_") if column != "psnr" else "the first folder")
    if len(lower.lines) > 1:
        _explain(lower)
    upper.set_ylabel(LOSS)
    lower.set_ylabel(PSNR)
    lower.set_xlabel("step")
    save_figure(figure, picture)
    return True


def draw_runs(runs: Mapping[str, Metrics], picture: Path, overwrite: bool = True) -> None:
    """Draw runs beside each other: loss and PSNR of the first validation folder, over steps and over minutes.

    Parameters
    ----------
    runs : dict
        By label, from `read_metrics`.
    picture : path
        The suffix chooses the format.
    overwrite : bool

    Raises
    ------
    UsageError
        If Matplotlib is missing.
    ExistsError
        If there is such a file and it is not to be replaced.
    """
    figure = make_figure(11, 7)
    panels = figure.subplots(2, 2, sharey="row", sharex="col")
    for line, (column, words) in zip(panels, (("loss", LOSS), ("psnr", PSNR)), strict=True):
        for axes, over in zip(line, AXES, strict=True):
            for label, rows in runs.items():
                _plot(axes, rows, over, column, label)
        line[0].set_ylabel(words)
    for axes, (words, _) in zip(panels[1], AXES.values(), strict=True):
        axes.set_xlabel(words)
    _explain(panels[0, 0])
    save_figure(figure, picture, overwrite)


def _explain(axes: Any) -> None:
    """The legend, with labels as they are: Matplotlib leaves out those that begin with "_"."""
    axes.legend(axes.lines, [line.get_label() for line in axes.lines])


def _plot(axes: Any, rows: Metrics, over: str, column: str, label: str | None) -> None:
    """A line through what there is: not every line of a run's metrics comes from a validation."""
    factor = AXES[over][1]
    points = [(float(row[over]) * factor, float(row[column])) for row in rows if row.get(column)]
    words = None if label is None else label.replace("$", r"\$")  # which would begin a formula
    axes.plot([x for x, _ in points], [y for _, y in points], marker=".", label=words)
