"""A run's curves as a picture, where matplotlib is installed (``pip install npbsrn[plot]``)."""

import csv
from importlib.util import find_spec
from pathlib import Path

from npbsrn.storage.files import atomic_write


def draw_curves(metrics: Path, picture: Path) -> bool:
    """Draw training loss and validation PSNR over the steps.

    Parameters
    ----------
    metrics : path
        A run's ``metrics.csv``.
    picture : path
        The PNG file to write.

    Returns
    -------
    drawn : bool
        False without matplotlib, or without a line in `metrics`.
    """
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or find_spec("matplotlib") is None:
        return False
    from matplotlib.figure import Figure  # without pyplot: no windows, no state

    figure = Figure(figsize=(7, 6), layout="constrained")
    steps = [int(row["step"]) for row in rows]
    upper, lower = figure.subplots(2, sharex=True)
    upper.plot(steps, [float(row["loss"]) for row in rows], marker=".")
    upper.set_ylabel("training loss (L1)")
    for column in (name for name in rows[0] if name.startswith("psnr")):
        judged = [(step, float(row[column])) for step, row in zip(steps, rows, strict=True) if row[column]]
        label = column.removeprefix("psnr_") if column != "psnr" else "the first folder"
        lower.plot([step for step, _ in judged], [psnr for _, psnr in judged], marker=".", label=label)
    if len(lower.lines) > 1:
        lower.legend()
    lower.set_ylabel("validation PSNR on Y, dB")
    lower.set_xlabel("step")
    with atomic_write(picture) as file:
        figure.savefig(file, format="png")
    return True
