"""Figures, where Matplotlib is installed (``pip install npbsrn[plot]``)."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from npbsrn.errors import ExistsError, UsageError
from npbsrn.storage.files import atomic_write, check_folder_of, refuse_existing

FORMATS = ("png", "svg", "pdf")
CURE = "drawing needs one more package: pip install 'npbsrn[plot]'"


def can_draw() -> bool:
    """Whether Matplotlib is installed."""
    return find_spec("matplotlib") is not None


def make_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches, with no window and no state.

    Raises
    ------
    UsageError
        If Matplotlib is missing.
    """
    if not can_draw():
        raise UsageError(CURE)
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def check_drawing(path: Path | None, overwrite: bool = True) -> None:
    """Refuse, before any work is done, a figure that could not be written; None is no figure.

    Raises
    ------
    UsageError
        If Matplotlib is missing, the suffix is another one, or the folder is missing or may not be written.
    ExistsError
        If there is such a file and it is not to be replaced.
    """
    if path is None:
        return
    make_figure(1, 1)
    _format_of(path)
    check_folder_of(path, UsageError)
    refuse_existing(path, overwrite)


def save_figure(figure: Any, path: Path, overwrite: bool = True) -> None:
    """Write a figure; the suffix chooses the format.

    Raises
    ------
    UsageError
        If the suffix is another one.
    ExistsError
        If there is such a file and it is not to be replaced.
    """
    name = _format_of(path)
    try:
        with atomic_write(path, overwrite) as file:
            figure.savefig(file, format=name, dpi=110)
    except FileExistsError:
        raise ExistsError(path) from None


def _format_of(path: Path) -> str:
    name = path.suffix.lower().removeprefix(".")
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if name not in FORMATS:
        raise UsageError(f"{path} names no format of figures; end it in .png, .svg or .pdf")
    return name
