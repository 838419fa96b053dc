"""A run's folder: configuration, metrics, log, curves, pictures, checkpoints, weights."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from npbsrn.errors import DataError
from npbsrn.images.picture import Picture
from npbsrn.images.writing import write_picture
from npbsrn.models import Model, save_model
from npbsrn.storage.files import atomic_write
from npbsrn.storage.run_files import CHECKPOINTS, CONFIG, CURVES, FRESH, METRICS, PICTURES
from npbsrn.training.checkpoint import Origin, State, save_checkpoint
from npbsrn.training.config import TrainConfig
from npbsrn.training.curves import draw_curves

Array = np.ndarray[Any, Any]

COLUMNS = ("step", "loss", "rate", "psnr", "ssim", "seconds")


class Records:
    """Write what a run leaves behind.

    Parameters
    ----------
    folder : path
        Must exist.
    config : TrainConfig
    origin : Origin
    step : int
        Where the run starts.
    sets : list of str
        Names of the validation sets. The first one's figures are ``psnr`` and ``ssim``, those of any other ``NAME``
        ``psnr_NAME`` and ``ssim_NAME``.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, config: TrainConfig, origin: Origin, step: int, sets: list[str]) -> None:
        self.folder, self.config, self.origin, self.sets = folder, config, origin, sets
        with self._writing(), atomic_write(folder / CONFIG) as file:
            file.write(json.dumps(dataclasses.asdict(config), indent=2).encode() + b"\n")
        self.log(f"begin at step {step} of {config.steps}")

    def begin_metrics(self, judged: int) -> None:
        """Begin ``metrics.csv``, or go on with it behind the step that was judged last.

        Lines of later steps, left by a run that was killed, are dropped.
        """
        with self._writing():
            self._begin_metrics(judged)

    def _begin_metrics(self, judged: int) -> None:
        path = self.folder / METRICS
        self.columns = [*COLUMNS, *(f"{figure}_{name}" for name in self.sets[1:] for figure in ("psnr", "ssim"))]
        text = io.StringIO(newline="")
        kept = []
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                whole = (row for row in rows if None not in row.values())  # the last one may have been cut
                kept = [row for row in whole if row.get("step", "").isdigit() and int(row["step"]) <= judged]
                self.columns += [name for name in rows.fieldnames or () if name not in self.columns]
        table = self._table(text)
        table.writeheader()
        table.writerows(kept)
        with atomic_write(path) as out:
            out.write(text.getvalue().encode())

    def _table(self, file: TextIO) -> "csv.DictWriter[str]":
        return csv.DictWriter(file, self.columns, extrasaction="ignore", lineterminator="\n")

    def metrics(self, state: State, scores: list[tuple[float, float]]) -> None:
        """Add a line to ``metrics.csv`` and to the log, and draw the curves anew.

        Parameters
        ----------
        state : State
            Of its losses the mean is shown.
        scores : list of (psnr, ssim)
            One a validation set.
        """
        loss, count = state.losses
        row = {"step": state.step, "loss": f"{loss / count:.6f}", "rate": f"{self.config.rate_at(state.step - 1):.3e}"}
        row |= {"seconds": f"{state.seconds:.1f}"}
        words = [f"step {state.step}: loss {row['loss']}"]
        for n, (name, (psnr, ssim)) in enumerate(zip(self.sets, scores, strict=True)):
            end = f"_{name}" if n else ""
            row |= {f"psnr{end}": f"{psnr:.4f}", f"ssim{end}": f"{ssim:.4f}"}
            words.append(f"{name}: PSNR {psnr:.4f}, SSIM {ssim:.4f}")
        path = self.folder / METRICS
        with self._writing():
            with path.open("a", newline="", encoding="utf-8") as file:
                self._table(file).writerow(row)
            draw_curves(path, self.folder / CURVES)
        self.log("; ".join(words))

    def log(self, words: str) -> None:
        """Add a line to ``log.txt``."""
        with self._writing(), (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now().isoformat(' ', 'seconds')}  {words}\n")

    def picture(self, own: str, name: str, picture: Array) -> None:
        """Write a picture of the validation set `own`, (H, W, 3) uint8, in place of the last one of its name."""
        folder = self.folder / PICTURES / ("" if own == self.sets[0] else own)
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
        write_picture(Picture(picture), folder / f"{Path(name).stem}.png")

    def checkpoint(self, state: State, again: bool = False) -> None:
        """Write ``checkpoint.npz``.

        The one before it stays as ``checkpoint-previous.npz``, unless it is of the same step, and is written `again`.
        """
        newest, previous, fresh = (self.folder / name for name in (*CHECKPOINTS, FRESH))
        save_checkpoint(fresh, state, self.config, self.origin)
        with self._writing():  # whenever this is interrupted, a whole one is there
            if newest.exists() and not again:
                newest.replace(previous)
            fresh.replace(newest)

    def weights(self, name: str, model: Model) -> None:
        """Write a weight file."""
        save_model(self.folder / name, model)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(
                f"cannot write to {self.folder} ({error.strerror}); free some space or choose another output folder"
            ) from None


class Unwritten(Records):
    """Those of a rank that is not the first: nothing is written."""

    def __init__(self, folder: Path, config: TrainConfig, origin: Origin) -> None:
        self.folder, self.config, self.origin, self.sets = folder, config, origin, []

    def begin_metrics(self, judged: int) -> None:
        """Nothing, as all that follow."""

    def metrics(self, state: State, scores: list[tuple[float, float]]) -> None:
        """See above."""

    def log(self, words: str) -> None:
        """See above."""

    def picture(self, own: str, name: str, picture: Array) -> None:
        """See above."""

    def checkpoint(self, state: State, again: bool = False) -> None:
        """See above."""

    def weights(self, name: str, model: Model) -> None:
        """See above."""
