"""Packed engines of models and of weight files."""

import weakref
from functools import lru_cache
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError
from npbsrn.inference.runners import Engine
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import Folded, fold
from npbsrn.storage.models import Model, is_packed

_engines: dict[int, tuple[Any, Engine]] = {}  # by a model's id, with a reference that ends with the model


def engine_of(model: Model, engine: str) -> Engine | Model:
    """The packed engine of a model, which is kept with it; with "auto" the model itself if it cannot be packed.

    Raises
    ------
    UsageError
        If `engine` is "packed" and the model cannot be packed.
    """
    key = id(model)
    if key not in _engines:
        try:
            folded = fold(model)
        except UsageError:
            if engine == "packed":
                raise
            return model
        _engines[key] = weakref.ref(model, lambda _: _engines.pop(key, None)), _make(folded)
    return _engines[key][1]


def engine_of_file(model: str | PathLike[str] | None, scale: int, engine: str) -> Engine | None:
    """The packed engine of a packed weight file, by default of the package's; None if it is not such a file.

    Raises
    ------
    UsageError
        If the reference engine is wanted: it needs what a packed file has no longer.
    """
    if model is None:
        return None if engine == "reference" else _packaged(scale)
    if not isinstance(model, str | PathLike) or not Path(model).is_file():
        return None  # `npbsrn.storage.models.load` knows what to say
    path = Path(model)
    if not is_packed(path):
        return None
    if engine == "reference":
        raise UsageError(
            f"{model} holds a packed network, which only the packed engine runs; name the weights it is of"
        )
    return _make(load_packed(path))


@lru_cache(maxsize=3)
def _packaged(scale: int) -> Engine | None:
    resource = files("npbsrn") / "weights" / f"bsrn-x{scale}-packed.npz"
    if not resource.is_file():
        return None
    with as_file(resource) as path:
        return _make(load_packed(path))


def _make(folded: Folded) -> Engine:
    from npbsrn.packed.engine import Engine as PackedEngine  # which imports Numba

    return PackedEngine(folded)
