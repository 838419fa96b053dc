"""`npbsrn.train`: from a folder of photographs to a model."""

import contextlib
import dataclasses
import functools
import math
import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from tqdm import tqdm

from npbsrn.datasets.pairs import find_pairs
from npbsrn.errors import DataError, UsageError, WeightsError
from npbsrn.models import Model, check_scale, load
from npbsrn.networks.base import Network, make_network
from npbsrn.runtime import buffers
from npbsrn.runtime.shards import Shards
from npbsrn.runtime.threads import SHARDS
from npbsrn.shipped import MODELS
from npbsrn.storage.params import leaves
from npbsrn.training.alone import Alive, Alone
from npbsrn.training.budget import fit_to_time
from npbsrn.training.checkpoint import Origin, State
from npbsrn.training.config import TrainConfig, choose_network, make_config
from npbsrn.training.data import PatchSource
from npbsrn.training.folder import check_folder, own_folder, refuse_mixing
from npbsrn.training.loop import Run
from npbsrn.training.memory import refuse_too_large
from npbsrn.training.optimizer import Flat
from npbsrn.training.ranks import find_ranks
from npbsrn.training.records import Records, Unwritten
from npbsrn.training.resume import go_on
from npbsrn.training.sieve import TRAINING, Sieve, listing
from npbsrn.training.step import first_state
from npbsrn.training.teacher import load_teacher
from npbsrn.training.validation import ValidationSet, find_sets, read_sets


def train(
    folder: str | PathLike[str] | None = None,
    scale: int | None = None,
    output: str | PathLike[str] | None = None,
    *,
    preset: str | None = None,
    resume: bool = False,
    validation: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
    init: str | PathLike[str] | None = None,
    teacher: str | PathLike[str] | None = None,
    minutes: float | None = None,
    cache: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> Model:
    """Train a network on a folder of photographs.

    Parameters
    ----------
    folder : path
        Pictures in any layout of `npbsrn.datasets.pairs.find_pairs`. It may be omitted when resuming. Pictures that are
        damaged, cannot be read, are smaller than a patch or have a partner of the wrong size are left out, with one
        warning and a line in the log, and stay out when the run is resumed.
    scale : {2, 3, 4}
        By default 4.
    output : path, optional
        The run's folder, made if missing: ``config.json``, ``metrics.csv``, ``checkpoint.npz``, ``best.npz`` and
        ``weights.npz``. By default ``runs/NETWORK-xSCALE``, such as ``runs/bsrn-x4``.
    preset : {"default", "quick", "best", "best-bsrn", "paper"}, optional
        "best" trains the network `bbcu`, the others `bsrn`, if none is named.
    resume : bool
        Continue the run in `output` with its own configuration; the result is the same, bit for bit, as without the
        interruption. Another number of ``steps`` makes the run longer or shorter: from here on, schedule and
        ``late_from`` are those of a run of that length.
    validation : path or several, optional
        Folders on which the weights are validated during training; the first decides which weights are best. By default
        the first pictures of DIV2K's validation half if `folder` is the one that holds DIV2K, else some pictures of
        `folder`, which are then left out of training.
    init : name or path, optional
        A model of the package, weight file or run with the initial weights: of the same network, of another scale (the
        body is carried over, the tail is new), or of a shallower network (the additional blocks are new).
    teacher : name or path, optional
        A model of the package, weight file or run of the same scale, whose results are a second target; the option
        ``distill`` is its weight in the loss (`npbsrn.training.step.loss_and_grads`). Any network will do. It runs as
        in inference, with running averages, and is not trained.
    minutes : float, optional
        A time budget: the number of steps is fitted to it when the run begins.
    cache : path, optional
        Where decoded pictures are kept; by default ``$NPBSRN_CACHE`` or the user's cache folder.
    progress : bool
        Show loss, learning rate, patches per second and time left.
    **options
        Differences from the preset: ``network`` ("bbcu", "bsrn", "srresnet" or "vdsr"), ``binarizer`` ("bam", "bbcu",
        "bnn", "dorefa", "abc", "bw", "none", or a dict of its name and options), fields of
        `npbsrn.training.config.TrainConfig`, and arguments of the network.

    Returns
    -------
    model : Model
        The averaged weights of the last step, as in ``weights.npz``.

    Raises
    ------
    UsageError, DataError, WeightsError
        If an option, the folder, all of its pictures, or the checkpoint cannot be used.
    TrainingDivergedError
        If the loss is not finite.
    KeyboardInterrupt
        On Ctrl-C. The state has been saved before.

    Notes
    -----
    Where ``mpiexec`` has begun several processes, they train one network together (docs/scale.md), and an error of one
    of them, which it prints, ends all.
    """
    with contextlib.ExitStack() as until_the_end:
        until_the_end.callback(buffers.clear)
        ranks = find_ranks()
        until_the_end.enter_context(ranks.together())
        _refuse_options(scale, resume, minutes, init)
        named = choose_network(preset or "default", options.get("network"))[1]
        run = Path(output) if output else Path("runs") / f"{named}-x{scale or 4}"
        origin = _origin(folder, validation, init, teacher)

        def begin(_: Alive) -> tuple[State | None, TrainConfig, Origin]:
            if resume:
                until_the_end.enter_context(own_folder(run, begun=True))  # before its state is read
                return go_on(run, origin, scale, preset, options)
            check_folder(run, begun=False)
            return None, _config_of(scale or 4, preset or "default", options, ranks), origin

        state, config, origin = ranks.lead(begin)
        network, shards = make_network(config.network), _divide(config, ranks)
        refuse_too_large(network, config, ranks.share(config.shards))
        teacher_model, origin = load_teacher(origin, config)
        sieve, show = Sieve(origin.left_out), progress and ranks.first
        source, valid, origin = _found_by(ranks, functools.partial(_pictures, run, origin, config, sieve, cache, show))
        if left_out := sieve.summary() if ranks.first else "":
            warnings.warn(left_out, stacklevel=2)
        if state is None:
            if minutes is not None:
                fitted = fit_to_time(minutes, config, network, source, teacher_model, shards)
                config = ranks.lead(lambda _: fitted)
            state = ranks.lead(lambda _: first_state(network, config.seed, _weights_of(init, network, config.seed)))
            if ranks.first:  # only now: a run that is refused leaves nothing
                until_the_end.enter_context(own_folder(run, begun=False))
        records = _records(run, config, origin, state, valid, ranks)
        if left_out:
            records.log(left_out)
        return Run(config, network, source, valid, records, show, teacher_model, ranks, shards).go(state)


def _refuse_options(scale: int | None, resume: bool, minutes: float | None, init: Any) -> None:
    if scale is not None:
        check_scale(scale)
    if minutes is not None and not 0 < minutes < math.inf:
        raise UsageError(f"minutes must be a number above 0, not {minutes:g}")
    if resume and (minutes is not None or init is not None):
        raise UsageError("a resumed run has its steps and the weights it began with; leave minutes and init out")


def _config_of(scale: int, preset: str, options: dict[str, Any], ranks: Alone) -> TrainConfig:
    """The configuration of a new run; several ranks divide batches, up to four into the same shards."""
    config = make_config(scale, preset, options)
    return config if "shards" in options else _with_shards(config, ranks)


def _with_shards(config: TrainConfig, ranks: Alone) -> TrainConfig:
    """The configuration of a run that several ranks begin: as few shards as they need, but up to four give the same."""
    if ranks.size == 1:
        return config
    divisors = [count for count in range(ranks.size, config.batch + 1) if config.batch % count == 0]
    if not divisors:
        raise UsageError(f"a batch of {config.batch} is too small for {ranks.size} ranks; give a larger one")
    enough = [count for count in divisors if count >= SHARDS]
    return dataclasses.replace(config, shards=(enough or divisors)[0])


def _divide(config: TrainConfig, ranks: Alone) -> Shards | None:
    """The shards of this rank."""
    if config.shards < ranks.size:
        raise UsageError(
            f"this run divides batches into {config.shards}, too few for {ranks.size} ranks; start {config.shards} "
            f"at most, or begin a run with --set shards={ranks.size}"
        )
    return ranks.divide(config.shards, config.synchronize)


Found = tuple[PatchSource, list[ValidationSet], Origin]


def _found_by(ranks: Alone, pictures: Callable[[Alive], Found]) -> Found:
    """The pictures, decoded by the first rank, so that the others find them in its cache."""
    found: list[Found] = []

    def look(alive: Alive) -> Origin:
        found.append(pictures(alive))
        return found[0][2]

    origin = ranks.lead(look)
    source, valid, own = ranks.each(lambda alive: found[0] if found else pictures(alive))
    if own.digest != origin.digest:
        raise DataError("the ranks do not see the same pictures; name a folder that is the same for all of them")
    if own.teacher_digest != origin.teacher_digest:
        raise WeightsError("the ranks do not have the same teacher; name a model that is the same for all of them")
    return source, valid, origin


def _pictures(
    run: Path,
    origin: Origin,
    config: TrainConfig,
    sieve: Sieve,
    cache: str | PathLike[str] | None,
    progress: bool,
    alive: Alive,
) -> Found:
    """Decode the training and validation pictures; add their digest and the pictures left out to the origin."""
    if origin.folder is None:
        raise UsageError("name a folder of pictures to train on")
    pairs, sets = find_pairs(origin.folder, config.scale), find_sets(origin, config)
    refuse_mixing(run, Path(origin.folder), [pair for found in (pairs, *(sets or {}).values()) for pair in found])
    patch, holdout = max(config.patch, config.late_patch), config.holdout if sets is None else 0
    with tqdm(desc="decode", total=len(pairs), disable=None if progress else True, leave=False) as bar:

        def decoded() -> None:
            bar.update()
            alive()

        source = PatchSource(
            pairs, config.scale, patch, cache, decoded, sieve, holdout,
            keep=config.keep, flat_patches=config.flat_patches, degrade=config.degrade,
        )  # fmt: skip
    if origin.digest not in (None, source.digest):
        new = f": {listing(new)}; mend them, or name those" if (new := sieve.new(TRAINING)) else "; name those"
        raise DataError(f"the pictures in {origin.folder} are not those that this run began with{new}")
    valid = read_sets(sets, source, origin, config, sieve)
    return source, valid, dataclasses.replace(origin, digest=source.digest, left_out=sieve.left_out())


def _records(
    run: Path, config: TrainConfig, origin: Origin, state: State, valid: list[ValidationSet], ranks: Alone
) -> Records:
    """Those of the first rank, which alone writes."""
    if not ranks.first:
        return Unwritten(run, config, origin)
    return Records(run, config, origin, state.step, [held.name for held in valid])


def _weights_of(init: str | PathLike[str] | None, network: Network, seed: int) -> Flat | None:
    """The weights of `init` where they fit; a tail for another scale and missing blocks are new."""
    if init is None:
        return None
    given, fresh = dict(leaves(load(init, network.scale).params)), dict(leaves(network.init(seed)))
    for name, array in given.items():
        wanted = fresh.get(name)
        if wanted is not None and wanted.shape == array.shape:
            fresh[name] = array
        elif not name.startswith("tail."):
            raise WeightsError(f"{init} does not fit the network: {name} has no place or another shape; take its width")
    return fresh


def _origin(folder: Any, validation: Any, init: Any, teacher: Any) -> Origin:
    """What is said of places, as absolute paths."""
    judged = validation if isinstance(validation, list | tuple) else [] if validation is None else [validation]
    return Origin(
        None if folder is None else _absolute(folder),
        tuple(_absolute(place) for place in judged),
        None if init is None else Path(init).name,
        teacher=None if teacher is None else teacher if _is_name(teacher) else _absolute(teacher),
    )


def _is_name(model: Any) -> bool:
    return isinstance(model, str) and model in MODELS


def _absolute(folder: Any) -> str:
    if not isinstance(folder, str | PathLike):
        raise UsageError(f"a folder or file is named by a path, not by {folder!r}")
    return str(Path(folder).absolute())
