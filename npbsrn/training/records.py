"""A run's folder: configuration, metrics, log, curves, pictures, checkpoints, weights."""

import csv
import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from npbsrn.errors import DataError
from npbsrn.files import atomic_write
from npbsrn.models import Model, save_model
from npbsrn.pictures import write_picture
from npbsrn.training.checkpoint import Origin, State, save_checkpoint
from npbsrn.training.config import TrainConfig
from npbsrn.training.curves import draw_curves

Array = np.ndarray[Any, Any]

CHECKPOINTS = ("checkpoint.npz", "checkpoint-previous.npz")
COLUMNS = ("step", "loss", "rate", "psnr", "ssim", "seconds")


class Records:
    """Write what a run leaves behind.

    Parameters
    ----------
    folder : path
        Made if missing.
    config : TrainConfig
    origin : Origin
    step : int
        Where the run starts; metrics of later steps, left by a run that was killed, are dropped.

    Raises
    ------
    DataError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, config: TrainConfig, origin: Origin, step: int) -> None:
        self.folder, self.config, self.origin = folder, config, origin
        with self._writing():
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / "config.json") as file:
                file.write(json.dumps(dataclasses.asdict(config), indent=2).encode() + b"\n")
            self._start_metrics(step)
        self.log(f"begin at step {step} of {config.steps}")

    def _start_metrics(self, step: int) -> None:
        path = self.folder / "metrics.csv"
        kept = [",".join(COLUMNS)]
        if path.exists():
            with path.open(newline="") as file:
                rows = list(csv.reader(file))[1:]
            kept += [",".join(row) for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
        with atomic_write(path) as out:
            out.write("".join(line + "\n" for line in kept).encode())

    def metrics(self, state: State, loss: float, psnr: float | None, ssim: float | None) -> None:
        """Add a line to ``metrics.csv`` and to the log, and draw the curves anew."""
        judged = ["" if figure is None else f"{figure:.4f}" for figure in (psnr, ssim)]
        rate = self.config.rate_at(state.step - 1)
        path = self.folder / "metrics.csv"
        with self._writing():
            with path.open("a") as file:
                file.write(f"{state.step},{loss:.6f},{rate:.3e},{','.join(judged)},{state.seconds:.1f}\n")
            draw_curves(path, self.folder / "curves.png")
        self.log(f"step {state.step}: loss {loss:.6f}, PSNR {judged[0] or 'none'}, SSIM {judged[1] or 'none'}")

    def log(self, words: str) -> None:
        """Add a line to ``log.txt``."""
        with self._writing(), (self.folder / "log.txt").open("a") as file:
            file.write(f"{datetime.now().isoformat(' ', 'seconds')}  {words}\n")

    def picture(self, name: str, picture: Array) -> None:
        """Write a validation picture, (H, W, 3) uint8, in place of the last one of its name."""
        with self._writing():
            (self.folder / "pictures").mkdir(exist_ok=True)
        write_picture(Image.fromarray(picture), self.folder / "pictures" / f"{Path(name).stem}.png")

    def checkpoint(self, state: State) -> None:
        """Write ``checkpoint.npz``; the one before it stays as ``checkpoint-previous.npz``."""
        newest, previous, fresh = (self.folder / name for name in (*CHECKPOINTS, "checkpoint-new.npz"))
        save_checkpoint(fresh, state, self.config, self.origin)
        with self._writing():  # whenever this is interrupted, one of the first two is there and whole
            if newest.exists():
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
