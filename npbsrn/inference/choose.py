"""Choose the `Runner` for whatever names a model."""

import weakref
from functools import lru_cache
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError
from npbsrn.inference.runners import Bicubic, Reference, Runner
from npbsrn.models import Model, check_scale, is_packed, load
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import lower
from npbsrn.packed.plan import Plan

Source = Model | Runner | str | PathLike[str] | None

ENGINES = ("auto", "packed", "reference")

_packed: dict[int, tuple[Any, Runner]] = {}  # by a model's id, with a reference that ends with the model


def choose_runner(source: Source, scale: int, engine: str = "auto") -> Runner:
    """Load the model that an argument names, check its scale, and prepare its runner.

    Parameters
    ----------
    source : Model, Runner, path, "bicubic" or None
        A path of a weight file or of a training run; None for the weights that come with the package.
    scale : {2, 3, 4}
    engine : {"auto", "packed", "reference"}
        "auto" takes the packed engine where it can.

    Raises
    ------
    UsageError
        If `scale` is unknown or not the model's, or `engine` is unknown or cannot run the model.
    """
    check_scale(scale)
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}; choose among {', '.join(ENGINES)}")
    runner = _runner_of(source, scale, engine)
    if runner.scale != scale:
        raise UsageError(f"the model enlarges x{runner.scale}, not x{scale}; choose that scale or another model")
    return runner


def _runner_of(source: Source, scale: int, engine: str) -> Runner:
    if isinstance(source, str) and source == "bicubic":
        if engine != "auto":
            raise UsageError(f'"bicubic" is no network that the engine {engine!r} could run; leave the engine out')
        return Bicubic(scale)
    if isinstance(source, Model):
        return runner_of_model(source, engine)
    if isinstance(source, Runner):
        if engine == "reference":
            raise UsageError("an engine is no model that the reference could run; name the model")
        return source
    return _runner_of_file(source, scale, engine) or runner_of_model(load(source, scale), engine)


def runner_of_model(model: Model, engine: str = "auto") -> Runner:
    """The packed engine of a model, cached with it; or the reference, if requested or (with "auto") needed.

    Raises
    ------
    UsageError
        If `engine` is "packed" and the model cannot be packed.
    """
    if engine == "reference":
        return Reference(model)
    key = id(model)
    if key not in _packed:
        try:
            plan = lower(model)
        except UsageError:
            if engine == "packed":
                raise
            return Reference(model)
        _packed[key] = weakref.ref(model, lambda _: _packed.pop(key, None)), _make(plan)
    return _packed[key][1]


def _runner_of_file(source: str | PathLike[str] | None, scale: int, engine: str) -> Runner | None:
    """The packed engine of a packed weight file (by default the package's), or None for any other file."""
    if source is None:
        return None if engine == "reference" else _packaged(scale)
    if not isinstance(source, str | PathLike) or not Path(source).is_file():
        return None  # `npbsrn.models.load` knows what to say
    path = Path(source)
    if not is_packed(path):
        return None
    if engine == "reference":
        raise UsageError(
            f"{source} holds a packed network, which only the packed engine runs; name the weights it is of"
        )
    return _make(load_packed(path))


@lru_cache(maxsize=3)
def _packaged(scale: int) -> Runner | None:
    resource = files("npbsrn") / "weights" / f"bsrn-x{scale}-packed.npz"
    if not resource.is_file():
        return None
    with as_file(resource) as path:
        return _make(load_packed(path))


def _make(plan: Plan) -> Runner:
    from npbsrn.packed.engine import Engine  # which imports Numba

    return Engine(plan)
