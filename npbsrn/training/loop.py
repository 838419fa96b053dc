"""The training run: batch, step, and again, with validation and checkpoints in between."""

import dataclasses
import os
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from npbsrn.datasets import Pair, find_pairs, read_pair
from npbsrn.errors import DataError, TrainingDivergedError, UsageError, WeightsError
from npbsrn.inference import run_uint8
from npbsrn.metrics import compare
from npbsrn.models import Model, check_scale, fits, load
from npbsrn.networks import Network, make_network
from npbsrn.params import leaves, nest
from npbsrn.threads import quiet_blas
from npbsrn.training.checkpoint import Origin, State, load_checkpoint
from npbsrn.training.config import TrainConfig, make_config
from npbsrn.training.data import PatchSource
from npbsrn.training.optimizer import Flat
from npbsrn.training.records import CHECKPOINTS, Records
from npbsrn.training.step import first_state, train_step

Array = np.ndarray[Any, Any]

SHOWN = 3  # validation pictures that are kept
TRAINING_SHARE = 0.95  # of a time budget; the rest is for validation and checkpoints


def train(
    folder: str | PathLike[str] | None = None,
    scale: int | None = None,
    output: str | PathLike[str] | None = None,
    *,
    preset: str | None = None,
    resume: bool = False,
    validation: str | PathLike[str] | None = None,
    init: str | PathLike[str] | None = None,
    minutes: float | None = None,
    cache: str | PathLike[str] | None = None,
    progress: bool = True,
    **options: Any,
) -> Model:
    """Train a network on a folder of photographs.

    Parameters
    ----------
    folder : path
        Pictures in any layout of `npbsrn.datasets.find_pairs`. To resume, it may be left out.
    scale : {2, 3, 4}
        By default 4.
    output : path, optional
        The run's folder, made if missing: ``config.json``, ``metrics.csv``, ``checkpoint.npz``, ``best.npz`` and
        ``weights.npz``. By default ``runs/bsrn-x4``, after the network and scale.
    preset : {"default", "quick", "paper"}, optional
    resume : bool
        Continue the run in `output` with its own configuration; the end is the same, bit for bit, as without the
        interruption.
    validation : path, optional
        A folder to judge the weights on while training. By default the first pictures of DIV2K's valid half if
        `folder` is the one that holds DIV2K, else some pictures of `folder` that are then not trained on.
    init : path, optional
        A weight file or run of the same network, from whose weights the run begins.
    minutes : float, optional
        A time budget: the number of steps is fitted to it when the run begins.
    cache : path, optional
        Where decoded pictures are kept; by default ``$NPBSRN_CACHE`` or the user's cache folder.
    progress : bool
        Show loss, learning rate, patches per second and time left.
    **options
        What differs from the preset: fields of `npbsrn.training.config.TrainConfig` and arguments of the network.

    Returns
    -------
    model : Model
        The averaged weights of the last step, as in ``weights.npz``.

    Raises
    ------
    UsageError, DataError, PictureError, WeightsError
        If an option, the folder, a picture or the checkpoint cannot be used.
    TrainingDivergedError
        If the loss is not finite.
    KeyboardInterrupt
        On Ctrl-C, after the state has been saved.
    """
    if scale is not None:
        check_scale(scale)
    run = Path(output) if output else Path("runs") / f"bsrn-x{scale or 4}"
    origin = Origin(_absolute(folder), _absolute(validation), None if init is None else Path(init).name)
    state: State | None = None
    if resume:
        state, config, before = _load_newest(run)
        _refuse_changes(config, scale, preset, options)
        here = origin.folder or before.folder, origin.validation or before.validation
        origin = Origin(*here, before.init, before.digest)
    else:
        config = make_config(scale or 4, preset or "default", options)
        if any((run / name).exists() for name in CHECKPOINTS):
            raise UsageError(f"{run} holds a run already; resume it, or choose another output folder")
    if origin.folder is None:
        raise UsageError("name a folder of pictures to train on")
    _check_writable(run)
    network = make_network(config.network)
    train_pairs, valid_pairs = split_pairs(origin, config)
    with tqdm(desc="decode", total=len(train_pairs), disable=None if progress else True, leave=False) as bar:
        source = PatchSource(
            train_pairs, config.scale, max(config.patch, config.late_patch), cache, progress=bar.update
        )
    if origin.digest not in (None, source.digest):
        raise DataError(f"the pictures in {origin.folder} are not those that this run began with; name those")
    if minutes is not None and state is None:
        with quiet_blas():
            config = _fit_to_time(minutes, config, network, source)
    state = state or first_state(network, config.seed, _weights_of(init, network))
    records = Records(run, config, dataclasses.replace(origin, digest=source.digest), state.step)
    valid = [(pair.name, *read_pair(pair, config.scale)) for pair in valid_pairs]
    return Run(config, network, source, valid, records, progress).go(state)


def split_pairs(origin: Origin, config: TrainConfig) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and pairs to validate on."""
    folder = Path(origin.folder or "")
    pairs = find_pairs(folder, config.scale)
    if origin.validation is not None:
        return pairs, find_pairs(origin.validation, config.scale, "valid")
    if (folder / "DIV2K_valid_HR").is_dir():
        return pairs, find_pairs(folder, config.scale, "valid")[: config.holdout]
    count = min(config.holdout, len(pairs) // 10)
    held = {round((n + 0.5) * len(pairs) / count) for n in range(count)}
    return [p for i, p in enumerate(pairs) if i not in held], [pairs[i] for i in sorted(held)]


def _weights_of(init: str | PathLike[str] | None, network: Network) -> Flat | None:
    if init is None:
        return None
    arrays = dict(leaves(load(init).params))
    fits(str(init), arrays, network)
    return arrays


def _absolute(folder: str | PathLike[str] | None) -> str | None:
    return None if folder is None else str(Path(folder).absolute())


def _load_newest(run: Path) -> tuple[State, TrainConfig, Origin]:
    """The newest checkpoint that is whole; one that is damaged is named in a warning."""
    there = [run / name for name in CHECKPOINTS if (run / name).exists()]
    if not there:
        raise UsageError(f"{run} holds no run to go on with; start one without resuming")
    for path in there[:-1]:
        try:
            return load_checkpoint(path)
        except WeightsError as error:
            warnings.warn(f"{error}; {there[-1].name}, the one before it, is used", stacklevel=3)
    return load_checkpoint(there[-1])


def _fit_to_time(minutes: float, config: TrainConfig, network: Network, source: PatchSource) -> TrainConfig:
    """A configuration whose steps take about so long: some steps are timed, and thrown away."""
    if not minutes > 0:
        raise UsageError(f"minutes must be above 0, not {minutes!r}")
    seconds = {}
    for patch in {config.patch, config.late_patch or config.patch}:
        state, times = first_state(network, config.seed), []
        for step in range(8):
            start = time.perf_counter()
            x, y = source.batch(config.seed, step, config.batch, patch)
            state, _ = train_step(state, network, config, x, y)
            times.append(time.perf_counter() - start)
        seconds[patch] = float(np.median(times[2:]))  # the first ones compile
    late = seconds[config.late_patch or config.patch]
    mean = config.late_from * seconds[config.patch] + (1 - config.late_from) * late
    return dataclasses.replace(config, steps=max(1, int(minutes * 60 * TRAINING_SHARE / mean)))


def _refuse_changes(config: TrainConfig, scale: int | None, preset: str | None, options: dict[str, Any]) -> None:
    """A resumed run keeps its configuration: what is said again must be the same."""
    if preset is not None:
        raise UsageError("a resumed run keeps its own options; leave the preset out")
    own = dataclasses.asdict(config)
    for name, value in (options | ({} if scale is None else {"scale": scale})).items():
        same = (
            own[name] == value
            if name in own
            else make_network({**config.network, name: value}).config == own["network"]
        )
        if not same:
            kept = own.get(name, config.network.get(name))
            raise UsageError(f"a resumed run keeps its {name} of {kept!r}; leave the option out")


def _check_writable(folder: Path) -> None:
    """Refuse, before pictures are decoded, a run's folder that could not be made or written."""
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise DataError(f"cannot write to {folder}; choose another output folder")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Parameters
    ----------
    config : TrainConfig
    network : Network
    source : PatchSource
    valid : list of (name, lr, hr)
        8-bit pictures to validate on; may be empty.
    records : Records
    progress : bool
    """

    config: TrainConfig
    network: Network
    source: PatchSource
    valid: list[tuple[str, Array, Array]]
    records: Records
    progress: bool

    def go(self, state: State) -> Model:
        """Train from `state` to the last step; returns the averaged weights."""
        config = self.config
        losses: list[float] = []
        if state.step == 0:
            self.records.checkpoint(state)  # so that a run that is killed early can be resumed, too
        with _deferred_interrupt() as interrupted, quiet_blas(), self._bar(state) as bar:
            while state.step < config.steps:
                state, loss = self._timed_step(state)
                losses.append(loss)
                bar.update()
                bar.set_postfix_str(self._words(state, losses, bar))
                last, stop = state.step == config.steps, interrupted.is_set()
                judge = last or state.step % config.validate_every == 0
                save = last or stop or state.step % config.checkpoint_every == 0
                if judge or save:
                    self._refuse_infinite(state, *state.params.values())
                if judge:
                    state = self._validate(state, float(np.mean(losses)))
                    losses.clear()
                if save:
                    self.records.checkpoint(state)
                if stop and not last:
                    raise KeyboardInterrupt("; the state is saved, --resume goes on")
        model = self.model(state)
        self.records.weights("weights.npz", model)
        self.records.log(f"end at step {state.step}, {state.seconds / 60:.1f} minutes of training")
        return model

    def model(self, state: State) -> Model:
        """The averaged weights with a card."""
        card = {
            "data": Path(self.records.origin.folder or "").name,
            "pictures": len(self.source.entries),
            "steps": state.step,
            "minutes": round(state.seconds / 60, 1),
            "seed": self.config.seed,
            "init": self.records.origin.init,
            "train": dataclasses.asdict(self.config),
            "validation_psnr": None if state.psnr is None else round(state.psnr, 3),
        }
        return Model(self.network, nest(state.average), card)

    def _timed_step(self, state: State) -> tuple[State, float]:
        start = time.perf_counter()
        x, y = self.source.batch(self.config.seed, state.step, self.config.batch, self.config.patch_at(state.step))
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused right below
            new, loss = train_step(state, self.network, self.config, x, y)
        self._refuse_infinite(state, np.array(loss))
        return dataclasses.replace(new, seconds=state.seconds + time.perf_counter() - start), loss

    def _refuse_infinite(self, state: State, *arrays: Array) -> None:
        if not all(np.all(np.isfinite(array)) for array in arrays):
            raise TrainingDivergedError(
                f"the loss or a weight is no longer finite at step {state.step}; try a lower rate than "
                f"{self.config.rate:g} or a longer warmup than {self.config.warmup}; {self.records.folder} keeps the "
                "last good checkpoint, if there was one"
            )

    def _validate(self, state: State, loss: float) -> State:
        """Judge the averaged weights, write a line of metrics, keep the best."""
        model, scale = self.model(state), self.config.scale
        scores = []
        for number, (name, lr, hr) in enumerate(self.valid):
            result = run_uint8(model, lr, scale)
            scores.append(compare(result, hr, scale))
            if number < SHOWN:
                self.records.picture(name, result)
        psnr, ssim = (float(np.nanmean(column)) for column in zip(*scores, strict=True)) if scores else (None, None)
        state = dataclasses.replace(state, psnr=psnr)
        self.records.metrics(state, loss, psnr, ssim)
        if psnr is not None and psnr > state.best:
            state = dataclasses.replace(state, best=psnr)
            self.records.weights("best.npz", self.model(state))
        return state

    def _bar(self, state: State) -> "tqdm[Any]":
        return tqdm(
            total=self.config.steps, initial=state.step, disable=not self.progress, desc="train", unit="step",
            dynamic_ncols=True, smoothing=0.05,
        )  # fmt: skip

    def _words(self, state: State, losses: list[float], bar: "tqdm[Any]") -> str:
        steps_a_second = bar.format_dict["rate"] or 0.0
        best = "" if state.best == float("-inf") else f", best {state.best:.2f} dB"
        return (
            f"loss {np.mean(losses[-100:]):.4f}, lr {self.config.rate_at(state.step - 1):.1e}, "
            f"{self.config.batch * steps_a_second:.0f} patches/s{best}"
        )


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or SIGTERM) into an event that the loop looks at between steps; the next ends at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handler(signum: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, old in before.items():
            signal.signal(number, old)
