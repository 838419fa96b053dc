"""Find the state of an earlier run, and continue from it."""

import dataclasses
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError, WeightsError
from npbsrn.networks.base import make_network
from npbsrn.training.checkpoint import Origin, State, load_checkpoint
from npbsrn.training.config import TrainConfig, with_option
from npbsrn.training.folder import checkpoints
from npbsrn.training.sieve import TRAINING


def load_newest(folder: Path) -> tuple[State, TrainConfig, Origin]:
    """The newest checkpoint of a run that is whole; one that is damaged is named in a warning.

    Raises
    ------
    UsageError
        If there is no run.
    WeightsError
        If all checkpoints are damaged.
    """
    there = checkpoints(folder)
    if not there:
        raise UsageError(f"{folder} holds no run; name the folder of one")
    for path, before in pairwise(there):
        try:
            return load_checkpoint(path)
        except WeightsError as error:
            warnings.warn(f"{error}; {before.name}, the one before it, is used", stacklevel=3)
    return load_checkpoint(there[-1])


def go_on(
    folder: Path, here: Origin, scale: int | None, preset: str | None, options: Mapping[str, Any]
) -> tuple[State, TrainConfig, Origin]:
    """State, configuration and origin of the run in `folder` that goes on.

    Parameters
    ----------
    folder : path
        The run's.
    here : Origin
        What is said now: other places of the same pictures and teacher, other validation folders.
    scale, preset, options
        What is said again must be the same, but for ``steps``: a run may become longer or shorter than it was begun.

    Raises
    ------
    UsageError
        If there is no run, something is said that it does not have, or it is beyond the steps it is given.
    WeightsError
        If all checkpoints are damaged.
    """
    state, config, before = load_newest(folder)
    _refuse_changes(config, scale, preset, {name: value for name, value in options.items() if name != "steps"})
    config = dataclasses.replace(config, steps=options.get("steps", config.steps))
    if config.steps < state.step:
        raise UsageError(f"the run is at step {state.step} already; give it at least so many steps")
    origin = dataclasses.replace(
        before,
        folder=here.folder or before.folder,
        validation=here.validation or before.validation,
        teacher=here.teacher or before.teacher,
    )
    if origin.validation[:1] != before.validation[:1]:  # figures of other pictures do not compare
        state = dataclasses.replace(state, best=float("-inf"))
    if origin.validation != before.validation:
        origin = dataclasses.replace(origin, left_out={own: x for own, x in before.left_out.items() if own == TRAINING})
    return state, config, origin


def _refuse_changes(config: TrainConfig, scale: int | None, preset: str | None, options: Mapping[str, Any]) -> None:
    """Apart from its length a resumed run keeps its configuration: what is said again must be the same."""
    if preset is not None:
        raise UsageError("a resumed run keeps its own options; leave the preset out")
    own = dataclasses.asdict(config)
    for name, value in {**options, **({} if scale is None else {"scale": scale})}.items():
        if name == "network":
            same = value == config.network["name"]
        elif name in own:
            same = dataclasses.replace(config, **{name: value}) == config
        else:
            same = make_network(with_option(config.network, name, value)).config == own["network"]
        if not same:
            kept = config.network["name"] if name == "network" else own.get(name, config.network.get(name))
            raise UsageError(f"a resumed run keeps its {name} of {kept!r}; leave the option out")
