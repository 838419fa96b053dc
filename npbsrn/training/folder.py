"""The folder of a run: whether it holds a run already, and a lock so that only one training writes to it."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from npbsrn.datasets.pairs import Pair
from npbsrn.errors import DataError, UsageError
from npbsrn.storage.files import lock
from npbsrn.storage.run_files import CHECKPOINTS, CONFIG, CURVES, FRESH, METRICS, PICTURES, WEIGHTS, holds_run


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints that are there, the newest first."""
    return [folder / name for name in (FRESH, *CHECKPOINTS) if (folder / name).exists()]


def check_folder(folder: Path, begun: bool) -> None:
    """Refuse a folder in which a run cannot begin, or in which there is none to go on with. Nothing is made yet.

    Parameters
    ----------
    folder : path
    begun : bool
        Whether a run must be there already.

    Raises
    ------
    UsageError
        If a run is there and should not be, or the other way round; or if pictures that are no run's are where the
        run would write its own.
    DataError
        If the folder could not be made or written.
    """
    if begun and not checkpoints(folder):
        raise UsageError(f"{folder} holds no run to go on with; start one without resuming")
    if not begun and checkpoints(folder):
        raise UsageError(f"{folder} holds a run already; resume it, or choose another output folder")
    if not begun and not holds_run(folder):
        for path in (folder / CURVES, *(folder / PICTURES).glob("*")):
            if path.exists():
                raise UsageError(f"{path} is there already and may be overwritten; choose another output folder")
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise DataError(f"cannot write to {folder}; choose another output folder")


def refuse_mixing(run: Path, folder: Path, pairs: Iterable[Pair]) -> None:
    """Refuse an output folder in which the run's pictures would come among those that it is trained or judged on.

    Parameters
    ----------
    run : path
        The run's folder.
    folder : path
        That of the training pictures.
    pairs : iterable of Pair

    Raises
    ------
    UsageError
        If a picture lies where the run writes its own, or in a run's folder within `folder`: once the run is there, it
        is left out of the data.
    """
    run, folder = run.resolve(), folder.resolve()
    taken = run if run.is_relative_to(folder) else run / PICTURES
    places = {path.parent: path for pair in pairs for path in (pair.hr, pair.lr) if path is not None}
    for place, path in places.items():
        if place.resolve().is_relative_to(taken):
            raise UsageError(f"{path} lies in {run}, where the run's own pictures go; choose another output folder")


@contextmanager
def own_folder(folder: Path, begun: bool) -> Iterator[None]:
    """Make a run's folder where it is missing, and keep other trainings out of it while the block runs.

    Raises
    ------
    UsageError, DataError
        As `check_folder`, also for what another training has done meanwhile; or if another training is at work there.
    """
    check_folder(folder, begun)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write to {folder} ({error.strerror}); choose another output folder") from None
    refusal = f"another training is at work in {folder}; wait for its end, or choose another output folder"
    with lock(folder / "lock", refusal):
        check_folder(folder, begun)
        _remove_left_over(folder)
        yield


def _remove_left_over(folder: Path) -> None:
    """Remove temporary files of a training that was killed: who has the lock alone writes what they were to be."""
    for name in (CONFIG, METRICS, CURVES, FRESH, *CHECKPOINTS, *WEIGHTS):
        for path in folder.glob(f".{name}.{'[0-9a-f]' * 16}.tmp"):
            with suppress(OSError):
                path.unlink()
