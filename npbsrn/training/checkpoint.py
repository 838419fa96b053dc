"""The whole state of a run in one file, from which it continues as if it had never stopped."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.errors import WeightsError
from npbsrn.models import fits, network_of
from npbsrn.storage.params import load_arrays, save_arrays
from npbsrn.training.config import TrainConfig
from npbsrn.training.optimizer import Vector


@dataclass(frozen=True)
class State:
    """What a step changes.

    Parameters
    ----------
    params, m, v, average : Vector
        Weights, Adam's two moments, and the moving average of the weights.
    step : int
        Steps done. With the seed it is the whole random state, as batches are pure functions of both.
    best : float
        Highest validation PSNR so far, in dB.
    psnr : float or None
        PSNR of the last validation, in dB.
    seconds : float
        Time spent in training so far.
    judged : int
        The step of the last validation.
    losses : (float, int)
        Sum and number of the losses since then.
    """

    params: Vector
    m: Vector
    v: Vector
    average: Vector
    step: int = 0
    best: float = float("-inf")
    psnr: float | None = None
    seconds: float = 0.0
    judged: int = 0
    losses: tuple[float, int] = (0.0, 0)


@dataclass(frozen=True)
class Origin:
    """Where a run's pictures are.

    Parameters
    ----------
    folder : str or None
        Absolute path; a run that goes on elsewhere may name another.
    validation : tuple of str
        Absolute paths, likewise; by those in the first the best weights are chosen.
    init : str or None
        Whose weights the run began with.
    digest : str or None
        Names the content of the pictures that are trained on.
    teacher : str or None
        Absolute path; a run that goes on elsewhere may name another.
    teacher_digest : str or None
        Names the content of the teacher's weights.
    left_out : dict of str to list of str
        Names of pictures that could not be used when the run began, by the set they are in; ``""`` are those to train
        on.
    """

    folder: str | None
    validation: tuple[str, ...] = ()
    init: str | None = None
    digest: str | None = None
    teacher: str | None = None
    teacher_digest: str | None = None
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given: Any = self.validation or ()  # from JSON a list; in early checkpoints one folder or None
        object.__setattr__(self, "validation", (given,) if isinstance(given, str) else tuple(given))


GROUPS = ("params", "m", "v", "average")


def save_checkpoint(path: Path, state: State, config: TrainConfig, origin: Origin, compress: bool = False) -> None:
    """Write a checkpoint, whole or not at all."""
    arrays = {f"{group}.{name}": a for group in GROUPS for name, a in getattr(state, group).items()}
    card = {
        "kind": "checkpoint",
        "train": asdict(config),
        "origin": asdict(origin),
        "step": state.step,
        "best": state.best if state.best > float("-inf") else None,
        "psnr": state.psnr,
        "seconds": state.seconds,
        "judged": state.judged,
        "losses": state.losses,
    }
    save_arrays(path, arrays, card, compress)


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
    try:
        for name, array in arrays.items():
            group, _, leaf = name.partition(".")
            groups[group][leaf] = array
        config = TrainConfig(**card["train"])
        network = network_of(path, config.network, sum(array.size for array in groups["params"].values()))
        config = replace(config, network=network.config)  # options that are younger than the file have their defaults
        best = float("-inf") if card["best"] is None else float(card["best"])
        loss, count = card.get("losses", (0.0, 0))
        state = State(
            **{group: Vector(a) for group, a in groups.items()},
            step=int(card["step"]),
            best=best,
            psnr=None if card["psnr"] is None else float(card["psnr"]),
            seconds=float(card["seconds"]),
            judged=int(card.get("judged", card["step"])),  # early checkpoints were written behind the validation
            losses=(float(loss), int(count)),
        )
        origin = _origin_of(card["origin"])
    except WeightsError:
        raise
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is no checkpoint of this npbsrn ({error}); start a new run") from None
    for group in ("params", "average"):
        fits(path, groups[group], network)
    for group in ("m", "v"):
        if any(array.dtype != np.float32 for array in groups[group].values()):
            raise WeightsError(f"{path} is no checkpoint of this npbsrn ({group} is not float32); start a new run")
    learned = {name: array.shape for name, array in state.params.items() if ".running_" not in name}
    for group in ("m", "v"):
        if {name: array.shape for name, array in groups[group].items()} != learned:
            raise WeightsError(f"{path} is incomplete: {group} does not fit the weights; start a new run")
    return state, config, origin


def _origin_of(entries: Mapping[str, Any]) -> Origin:
    """Of a card's entries, which are paths and names, or nothing.

    Raises
    ------
    TypeError
        If they are not.
    """
    origin = Origin(**entries)
    words = (origin.folder, origin.init, origin.digest, origin.teacher, origin.teacher_digest)
    names = (*origin.validation, *origin.left_out, *(name for own in origin.left_out.values() for name in own))
    if not all(isinstance(word, str | None) for word in words) or not all(isinstance(name, str) for name in names):
        raise TypeError("origin")
    return origin
