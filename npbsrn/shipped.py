"""The models that come with the package, by name."""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError


@dataclass(frozen=True)
class Shipped:
    """What a name stands for.

    Parameters
    ----------
    words : str
        What the model is for.
    scales : tuple of int
    """

    words: str
    scales: tuple[int, ...]

    def __str__(self) -> str:
        """The scales."""
        return ", ".join(f"x{scale}" for scale in self.scales)


MODELS = {
    "clean": Shipped("the default: for pictures without noise or traces of JPEG", (2, 3, 4)),
    "fast": Shipped("as clean, in about a third of the time, with less detail", (4,)),
    "photo": Shipped("for photographs with noise or traces of JPEG", (2, 4)),
    "bsrn": Shipped("the network of the paper", (2, 3, 4)),
}
DEFAULT = "clean"


def named(model: Any, scale: int) -> str | None:
    """Which shipped model an argument names.

    A string that is one of the names is that model, even where there is a file or folder of this name: a path with a
    separator, such as ``./clean``, or a `Path` names that.

    Parameters
    ----------
    model : any
        None is the default model.
    scale : int

    Returns
    -------
    name : str, or None
        None if it is no such name.

    Raises
    ------
    UsageError
        If there is no such model for `scale`.
    """
    name = DEFAULT if model is None else model
    if not isinstance(name, str) or name not in MODELS:
        return None
    if scale not in MODELS[name].scales:
        raise UsageError(f"there is no model {name} for x{scale}; there are {listed()}")
    return name


def listed() -> str:
    """All names, with their scales."""
    return ", ".join(f"{name} ({model})" for name, model in MODELS.items())


def is_bare(model: Any) -> bool:
    """Whether an argument looks like a model's name: a string without separators and suffix."""
    return isinstance(model, str) and Path(model).name == model and not Path(model).suffix


def packed_weights(name: str, scale: int) -> Traversable:
    """The packed weight file of a model."""
    return files("npbsrn") / "weights" / f"{name}-x{scale}-packed.npz"


def latent_weights(name: str, scale: int) -> str:
    """Where a model's latent weights are, for further training: in the repository, as they are large."""
    return f"training/{name}-x{scale}/weights.npz"
