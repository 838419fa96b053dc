"""Train and judge the rows of the tables, in a folder that several processes may share.

A row at one scale and seed is a run, in a folder such as ``srresnet-bam-x4`` or ``srresnet-bam-x4-seed1``. Beside the
run's own files there are ``result.json``, written when the row has been judged, and ``packed.npz``, where it can be
packed.
These two are enough to print tables, and to judge on further sets; the rest may be removed.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from npbsrn.errors import DataError, HeldError, TrainingDivergedError, UsageError
from npbsrn.inference.evaluation import evaluate
from npbsrn.models import Model, load
from npbsrn.packed.format import save_packed
from npbsrn.packed.lower import lower
from npbsrn.reproduction.tables import ROWS, SETS
from npbsrn.runtime.machine import cpu_name
from npbsrn.storage.files import atomic_write, check_folder, lock
from npbsrn.storage.run_files import CONFIG, FINAL, PACKED
from npbsrn.training.folder import checkpoints
from npbsrn.training.train import train

RESULT = "result.json"
ALSO = {"BSD100": "B100", "BSDS100": "B100", "Urban": "Urban100"}  # other names of the sets' folders


@dataclass(frozen=True)
class Task:
    """A row at one scale, for a number of steps and a seed."""

    row: str
    scale: int
    steps: int
    seed: int = 0

    @property
    def folder(self) -> str:
        """Its name, within that of all rows."""
        return f"{self.row}-x{self.scale}" + (f"-seed{self.seed}" if self.seed else "")


def find_sets(folders: Sequence[str | PathLike[str]] | None, beside: Path | None) -> dict[str, Path]:
    """Folders of test sets by their names in the paper: those that are named, or those that lie beside a folder.

    Raises
    ------
    DataError
        If a folder is none, or is not called as one of the sets.
    """
    if folders is None:
        near = sorted(path for path in beside.absolute().parent.iterdir() if path.is_dir()) if beside else []
        return {name: path for path in near if (name := _set_of(path)) is not None}
    found = {}
    for folder in map(Path, folders):
        name = _set_of(folder)
        if not folder.is_dir() or name is None:
            raise DataError(f"{folder} is no folder of a test set; its name must be one of {', '.join(SETS)}")
        found[name] = folder
    return found


def _set_of(folder: Path) -> str | None:
    names = {name.lower(): name for name in SETS} | {name.lower(): own for name, own in ALSO.items()}
    return names.get(folder.absolute().name.lower())


def read_result(folder: Path, task: Task) -> dict[str, Any] | None:
    """What has been written about a task, or None.

    Raises
    ------
    UsageError
        If the row was trained for another number of steps.
    DataError
        If the file is damaged.
    """
    path = folder / task.folder / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        sets = {name: {key: _finite(own[key]) for key in ("psnr", "ssim")} for name, own in result["sets"].items()}
        _finite(result.get("minutes", 0))
        steps, of = int(result["steps"]), [result[key] for key in ("row", "scale", "seed")]
    except FileNotFoundError:
        return None
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        raise DataError(f"{path} cannot be read; get a good copy, or remove it, and the row is done again") from None
    if of != [task.row, task.scale, task.seed]:
        raise DataError(f"{path} is of another row, {of[0]} x{of[1]}, seed {of[2]}; put it into that row's folder")
    if steps != task.steps:
        raise UsageError(f"{path.parent} was trained for {steps} steps, not {task.steps}; choose another folder")
    return {**result, "sets": sets}


def _finite(value: Any) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value} is no figure")
    return value


def complete(
    tasks: Sequence[Task],
    folder: Path,
    data: Path | None,
    sets: Mapping[str, Path],
    say: Callable[[str], None] = lambda words: None,
    progress: bool = True,
) -> list[Task]:
    """Train and judge what is missing; what another process is at work on is left to it.

    Parameters
    ----------
    tasks : sequence of Task
        In the order in which they are begun.
    folder : path
        That of all rows; made if missing.
    data : path or None
        Training pictures; may be missing if all rows are trained.
    sets : dict
        Folders of test sets by name.
    say : callable
        Is given a line about each row that begins.
    progress : bool
        Whether training shows a bar.

    Returns
    -------
    others : list of Task
        Those that other processes are at work on.

    Raises
    ------
    UsageError, DataError
        As `read_result` and `npbsrn.train`.
    """
    for task in tasks:
        if read_result(folder, task) is None:
            _refuse_untrained(folder / task.folder, data)  # before anything is made
    check_folder(folder, f"into {folder}", DataError, made=True)
    folder.mkdir(parents=True, exist_ok=True)
    others = _pass(tasks, folder, data, sets, say, progress)
    left = len(tasks)
    while others and len(others) < left:  # who was at work on these may have ended since, or been killed
        left = len(others)
        others = _pass(others, folder, data, sets, say, progress)
    return others


def _pass(
    tasks: Sequence[Task], folder: Path, data: Path | None, sets: Mapping[str, Path], say: Callable[[str], None],
    progress: bool,
) -> list[Task]:  # fmt: skip
    """Complete what is free; returns what other processes hold."""
    others = []
    for task in tasks:
        if _is_done(read_result(folder, task), sets):
            continue
        try:
            with lock(folder / f".{task.folder}.lock", "another process is at work on this row"):
                _complete(task, folder, data, sets, say, progress)
        except HeldError:
            others.append(task)
    return others


def _is_done(result: Mapping[str, Any] | None, sets: Mapping[str, Path]) -> bool:
    return result is not None and ("diverged" in result or set(sets) <= set(result["sets"]))


def _complete(
    task: Task, folder: Path, data: Path | None, sets: Mapping[str, Path], say: Callable[[str], None], progress: bool
) -> None:
    result, run = read_result(folder, task), folder / task.folder
    if _is_done(result, sets):
        return  # by another process, meanwhile
    if result is None:
        data = _refuse_untrained(run, data)
        say(f"{ROWS[task.row].label} x{task.scale}, seed {task.seed}: {task.steps} steps in {run}")
        result = _train(task, run, data, progress)
    if "diverged" not in result:
        weights = run / PACKED if (run / PACKED).exists() else run / FINAL
        for name in [name for name in sets if name not in result["sets"]]:
            mean = evaluate(weights, sets[name], task.scale).mean
            result["sets"][name] = {"psnr": round(mean.psnr, 4), "ssim": round(mean.ssim, 5)}
    with atomic_write(run / RESULT) as file:
        file.write(json.dumps(result, indent=2, sort_keys=True).encode() + b"\n")


def _refuse_untrained(run: Path, data: Path | None) -> Path:
    if data is None:
        raise UsageError(f"{run} is not trained yet; name a folder of training pictures by --data")
    return data


def keep_packed(model: Model, run: Path) -> None:
    """Write a row's weights in bits, where that can be: not if a plan cannot hold the network."""
    with suppress(UsageError):
        plan = lower(model)
        save_packed(run / PACKED, plan)


def _train(task: Task, run: Path, data: Path, progress: bool) -> dict[str, Any]:
    """Train a row to its end, from where it is; what its result begins with."""
    result = {**asdict(task), "cpu": cpu_name(), "sets": {}}
    begun = bool(checkpoints(run))
    if begun and (steps := _begun_for(run)) not in (None, task.steps):  # its rate fell as of a longer or shorter run
        raise UsageError(f"{run} was begun for {steps} steps, not {task.steps}; choose another folder")
    try:
        model = train(
            data, task.scale, run, resume=begun, progress=progress, steps=task.steps, seed=task.seed,
            **ROWS[task.row].options(),
        )  # fmt: skip
    except TrainingDivergedError as error:
        return result | {"diverged": str(error)}
    keep_packed(load(run), run)
    card = model.card
    return result | {"minutes": card["minutes"], "validation_psnr": card["validation_psnr"], "data": card["data"]}


def _begun_for(run: Path) -> Any:
    """How many steps an interrupted run is to have, where its folder says that."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads((run / CONFIG).read_text(encoding="utf-8"))["steps"]
    return None
