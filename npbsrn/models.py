"""A model: a network, its parameters, and the card that records where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn import __version__
from npbsrn.errors import UsageError, WeightsError
from npbsrn.networks.base import SCALES, Network, make_network
from npbsrn.shipped import MODELS, is_bare, latent_weights, listed, named
from npbsrn.storage.params import Params, leaves, load_arrays, nest, peek_card, save_arrays
from npbsrn.storage.run_files import WEIGHTS


@dataclass(frozen=True)
class Model:
    """A network with its parameters, for `upscale` and `evaluate`. Its arrays must not change once it has run.

    Parameters
    ----------
    network : Network
    params : nested dict of arrays
    card : dict
        Data, steps, minutes, seed and quality of the training; empty for an untrained model.
    """

    network: Network
    params: Params
    card: dict[str, Any] = field(default_factory=dict)

    @property
    def scale(self) -> int:
        """Factor of enlargement."""
        return self.network.scale

    @property
    def name(self) -> str:
        """The model's, if its card has one, or the network's."""
        return str(self.card.get("name", self.network.config["name"]))

    def __repr__(self) -> str:
        config = self.network.config
        total = self.network.count_parameters(self.params)["total"]
        return f"<Model {config['name']} x{self.scale}, {total:,} parameters>"


def save_model(path: Path | str, model: Model) -> None:
    """Write a weight file; see `npbsrn.storage.params.save_arrays`."""
    card = {**model.card, "config": model.network.config, "npbsrn": __version__}
    save_arrays(path, dict(leaves(model.params)), card, compress=True)


def load(model: str | PathLike[str] | None = None, scale: int = 4) -> Model:
    """Load a model.

    Parameters
    ----------
    model : name or path, optional
        A weight file, or the folder of a training run. The package holds its own models packed, without the latent
        weights that a `Model` has: for a name (`npbsrn.shipped.MODELS`) the error says where these are. A name goes
        before a file of the same name: ``./bsrn`` is the file.
    scale : {2, 3, 4}
        Of a name; a weight file has its own scale.

    Returns
    -------
    model : Model

    Raises
    ------
    UsageError
        If a model of the package is named, or there is none of that name for `scale`.
    WeightsError
        If the file is missing, damaged, foreign, or does not fit the network that it names.
    """
    check_scale(scale)
    if (name := named(model, scale)) is not None:
        raise UsageError(
            f"the package holds {name} x{scale} packed, to enlarge pictures with; its latent weights are the file "
            f"{latent_weights(name, scale)} of npbsrn's repository, so name that file's path"
        )
    if not isinstance(model, str | PathLike) or not str(model):
        raise UsageError(f"a model is named by a path or a name, not by {model!r}")
    path = Path(model)
    if path.is_dir():  # of a run: while it is under way there are only the best weights so far
        written = [path / name for name in WEIGHTS if (path / name).exists()]
        if not written:
            raise WeightsError(f"{model} holds no weights; a training run writes them when it validates and ends")
        return _load_file(written[0])
    if model == "bicubic" and not path.exists():
        raise UsageError("bicubic is no network, and has no weights; name a model, a weight file or a run")
    if is_bare(model) and not path.exists():
        close = get_close_matches(str(model).lower(), [*MODELS, "bicubic"], 1, ALIKE)
        hint = f"did you mean {close[0]}?" if close else f"there are {listed()}, bicubic"
        raise WeightsError(f"there is no model {model}, nor a file or run of that name; {hint}")
    return _load_file(model)


def check_scale(scale: Any) -> None:
    """Refuse a scale that no network has."""
    if not isinstance(scale, Integral) or scale not in SCALES:
        raise UsageError(f"the scale must be one of {', '.join(map(str, SCALES))}, not {scale!r}")


ALIKE = 0.7  # of names, from which on one may have been meant for the other
KIND = "packed"  # of a weight file without latent weights, as its card has it


def is_packed(path: str | PathLike[str]) -> bool:
    """Whether a file says that it holds a packed network."""
    return peek_card(path).get("kind") == KIND


def _load_file(path: str | PathLike[str]) -> Model:
    arrays, card = load_arrays(path)
    if card.get("kind") == KIND:
        raise WeightsError(f"{path} holds a packed network, which can only enlarge pictures; name its float weights")
    network = network_of(path, card.get("config"), sum(array.size for array in arrays.values()))
    fits(path, arrays, network)
    order = [name for name, _ in leaves(network.init(0))]  # which other tools' files do not keep
    return Model(network, nest({name: arrays[name] for name in order}), card)


def network_of(path: str | PathLike[str], config: Any, weights: int) -> Network:
    """The network that a file is for.

    Parameters
    ----------
    path : path
    config : any
        What the file has as its network's configuration.
    weights : int
        How many weights the file holds. A network of more is not built, as it might take all memory there is.

    Raises
    ------
    WeightsError
        If that is no network, or one that is larger than the file.
    """
    try:
        if not isinstance(config, Mapping):
            raise TypeError("there is no configuration")
        blocks, width = (_at_least_1(config.get(name)) for name in ("blocks", "width"))
        if blocks * width**2 > weights:
            raise ValueError(f"{weights} weights are too few for {blocks} blocks of {width} channels")
        return make_network(config)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} does not say which network it is for ({error}); get weights of npbsrn") from None


def _at_least_1(value: Any) -> int:
    return max(1, value) if isinstance(value, int) else 1


def fits(path: str | PathLike[str], arrays: dict[str, np.ndarray[Any, Any]], network: Network) -> None:
    """Refuse arrays that are not the parameters of `network`.

    Raises
    ------
    WeightsError
        If a name is missing or unexpected, a shape or dtype differs, or a value is not finite.
    """
    wanted = {name: array.shape for name, array in leaves(network.init(0))}
    found = {name: array.shape for name, array in arrays.items()}
    if wanted != found:
        wrong = next(name for name in sorted(wanted | found) if wanted.get(name) != found.get(name))
        raise WeightsError(f"{path} does not fit its network: {wrong} is missing or of another shape")
    for name, array in arrays.items():
        if array.dtype != np.float32 or not np.all(np.isfinite(array)):
            raise WeightsError(f"{path} does not fit its network: {name} is not finite float32")
