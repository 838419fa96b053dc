"""A run's folder: configuration, metrics, checkpoint, weights."""

import csv
import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from npbsrn.errors import DataError
from npbsrn.files import atomic_write
from npbsrn.models import Model, save_model
from npbsrn.training.checkpoint import Origin, State, save_checkpoint
from npbsrn.training.config import TrainConfig

COLUMNS = ("step", "loss", "rate", "psnr", "seconds")


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

    def _start_metrics(self, step: int) -> None:
        path = self.folder / "metrics.csv"
        kept = [",".join(COLUMNS)]
        if path.exists():
            with path.open(newline="") as file:
                rows = list(csv.reader(file))[1:]
            kept += [",".join(row) for row in rows if row and row[0].isdigit() and int(row[0]) <= step]
        with atomic_write(path) as out:
            out.write("".join(line + "\n" for line in kept).encode())

    def metrics(self, state: State, loss: float) -> None:
        """Add a line to ``metrics.csv``."""
        shown = "" if state.psnr is None else f"{state.psnr:.4f}"
        rate = self.config.rate_at(state.step - 1)
        with self._writing(), (self.folder / "metrics.csv").open("a") as file:
            file.write(f"{state.step},{loss:.6f},{rate:.3e},{shown},{state.seconds:.1f}\n")

    def checkpoint(self, state: State) -> None:
        """Write ``checkpoint.npz``."""
        save_checkpoint(self.folder / "checkpoint.npz", state, self.config, self.origin)

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
