"""The whole state of a run in one file, so that it goes on as if it had never stopped."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from npbsrn.errors import WeightsError
from npbsrn.models import fits
from npbsrn.networks import make_network
from npbsrn.params import load_arrays, save_arrays
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import Flat


@dataclass(frozen=True)
class State:
    """What a step changes.

    Parameters
    ----------
    params, m, v, average : flat dicts
        Weights, Adam's two moments, and the moving average of the weights.
    step : int
        Steps done. With the seed it is the whole random state, as batches are pure functions of both.
    best : float
        Highest validation PSNR so far, in dB.
    seconds : float
        Time spent in training so far.
    """

    params: Flat
    m: Flat
    v: Flat
    average: Flat
    step: int = 0
    best: float = float("-inf")
    seconds: float = 0.0


@dataclass(frozen=True)
class Origin:
    """Where a run's pictures are.

    Parameters
    ----------
    folder, validation : str or None
        Absolute paths; a run that goes on elsewhere may name others.
    digest : str or None
        Names the content of the pictures that are trained on.
    """

    folder: str | None
    validation: str | None
    digest: str | None = None


GROUPS = ("params", "m", "v", "average")


def save_checkpoint(path: Path, state: State, config: TrainConfig, origin: Origin) -> None:
    """Write a checkpoint, whole or not at all."""
    arrays = {f"{group}.{name}": a for group in GROUPS for name, a in getattr(state, group).items()}
    card = {
        "kind": "checkpoint",
        "train": asdict(config),
        "origin": asdict(origin),
        "step": state.step,
        "best": state.best if state.best > float("-inf") else None,
        "seconds": state.seconds,
    }
    save_arrays(path, arrays, card, compress=False)


def load_checkpoint(path: Path) -> tuple[State, TrainConfig, Origin]:
    """Read a checkpoint: the state, the run's configuration, and where its pictures are.

    Raises
    ------
    WeightsError
        If the file is missing, damaged, or no checkpoint.
    """
    arrays, card = load_arrays(path)
    if card.get("kind") != "checkpoint":
        raise WeightsError(f"{path} is a weight file, not a checkpoint; name the folder of a run")
    groups: dict[str, Any] = {group: {} for group in GROUPS}
    for name, array in arrays.items():
        group, _, leaf = name.partition(".")
        groups[group][leaf] = array
    config = TrainConfig(**card["train"])
    fits(path, groups["params"], make_network(config.network))
    best = float("-inf") if card["best"] is None else card["best"]
    return State(**groups, step=card["step"], best=best, seconds=card["seconds"]), config, Origin(**card["origin"])
