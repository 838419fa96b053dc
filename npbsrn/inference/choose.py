"""Choose the `Runner` for whatever names a model."""

import weakref
from functools import cache
from importlib.resources import as_file
from os import PathLike
from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError
from npbsrn.inference.runners import Bicubic, PlanReference, Reference, Runner
from npbsrn.models import Model, check_scale, is_packed, load
from npbsrn.packed.format import load_packed
from npbsrn.packed.lower import lower
from npbsrn.packed.plan import Plan
from npbsrn.shipped import named, packed_weights
from npbsrn.storage.run_files import PACKED, WEIGHTS

Source = Model | Runner | str | PathLike[str] | None

ENGINES = ("auto", "packed", "reference")

MEMBERS = "name", *(name for name in vars(Runner) if not name.startswith("_"))  # of a runner

_packed: dict[int, tuple[Any, Runner]] = {}  # by a model's id, with a reference that ends with the model


def choose_runner(source: Source, scale: int | None, engine: str = "auto") -> Runner:
    """Load the model that an argument names, check its scale, and prepare its runner.

    Parameters
    ----------
    source : Model, Runner, name, path, "bicubic" or None
        The name of a model that comes with the package, of which None is the default one; or the path of a weight file
        or of a training run. See `npbsrn.shipped.named`.
    scale : {2, 3, 4}, optional
        By default the model's own; 4 for a name.
    engine : {"auto", "packed", "reference"}
        "auto" takes the packed engine where it can.

    Raises
    ------
    UsageError
        If `scale` is unknown or not the model's, there is no such model, or `engine` is unknown or cannot run it.
    """
    check_scale(4 if scale is None else scale)
    runner = runner_at(source, 4 if scale is None else scale, engine)
    if runner.scale != scale and scale is not None:
        raise UsageError(f"the model enlarges x{runner.scale:g}, not x{scale}; choose that scale or another model")
    return runner


def plan_of(source: str | PathLike[str], scale: int | None) -> Plan:
    """The plan of whatever names a model; arguments and errors are those of `choose_runner`."""
    from npbsrn.packed.engine import Engine

    runner = choose_runner(source, scale, "packed")
    assert isinstance(runner, Engine)  # as nothing else is packed
    return runner.plan


def runner_at(source: Source, scale: int, engine: str = "auto") -> Runner:
    """As `choose_runner`, but a source that is no name keeps the scale that it has."""
    if engine not in ENGINES:
        raise UsageError(f"there is no engine {engine!r}; choose among {', '.join(ENGINES)}")
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
    if hasattr(source, "run"):
        lacking = sorted(name for name in MEMBERS if not hasattr(source, name))
        raise UsageError(f"this runner has no {', '.join(lacking)}; inherit from npbsrn.inference.runners.WholeOnly")
    if (name := named(source, scale)) is not None:
        return _shipped(name, scale, engine)
    if isinstance(source, str | PathLike) and str(source):
        file = _packed_of(Path(source))
        if file.is_file() and is_packed(file):
            return _make(load_packed(file), engine)
    return runner_of_model(load(source, scale), engine)


def _packed_of(path: Path) -> Path:
    """A path; or of a folder, as of a table's row, that holds a run's packed weights and no others, that file."""
    return path / PACKED if path.is_dir() and not any((path / name).exists() for name in WEIGHTS) else path


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
        _packed[key] = weakref.ref(model, lambda _: _packed.pop(key, None)), _make(plan, engine)
    return _packed[key][1]


@cache
def _shipped(name: str, scale: int, engine: str) -> Runner:
    with as_file(packed_weights(name, scale)) as path:
        return _make(load_packed(path), engine)


def _make(plan: Plan, engine: str) -> Runner:
    if engine == "reference":
        return PlanReference(plan)
    from npbsrn.packed.engine import Engine  # which imports Numba

    return Engine(plan)
