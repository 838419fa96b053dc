"""The training run: batch, network, loss, back, Adam, average, and again."""

import csv
import dataclasses
import json
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from npbsrn.datasets import Pair, find_pairs, read_pair
from npbsrn.errors import DataError, TrainingDivergedError, UsageError
from npbsrn.inference import run_uint8
from npbsrn.metrics import compare
from npbsrn.models import Model, check_scale, save_model
from npbsrn.networks import Network, make_network
from npbsrn.ops.loss import l1_loss
from npbsrn.params import leaves, nest
from npbsrn.training.checkpoint import State, load_checkpoint, save_checkpoint
from npbsrn.training.config import TrainConfig, make_config
from npbsrn.training.data import PatchSource
from npbsrn.training.optimizer import Flat, adam, moving_average

Array = np.ndarray[Any, Any]


def train(
    folder: str | PathLike[str] | None = None,
    scale: int = 4,
    output: str | PathLike[str] | None = None,
    *,
    preset: str = "default",
    resume: bool = False,
    validation: str | PathLike[str] | None = None,
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
    output : path, optional
        The run's folder, made if missing: ``config.json``, ``metrics.csv``, ``checkpoint.npz``, ``best.npz`` and
        ``weights.npz``. By default ``runs/bsrn-x4``, after the network and scale.
    preset : {"default", "quick", "paper"}
    resume : bool
        Continue the run in `output` with its own configuration; the end is the same, bit for bit, as without the
        interruption.
    validation : path, optional
        A folder to judge the weights on while training. By default DIV2K's valid half if `folder` is DIV2K, else
        some pictures of `folder` that are then not trained on.
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
    check_scale(scale)
    state: State | None = None
    if resume:
        run = Path(output) if output else Path("runs") / f"bsrn-x{scale}"
        state, config, data = load_checkpoint(run / "checkpoint.npz")
        _refuse_changes(config, options)
        folder = folder or data
    else:
        if folder is None:
            raise UsageError("name a folder of pictures to train on")
        config = make_config(scale, preset, options)
        run = Path(output) if output else Path("runs") / f"{config.network['name']}-x{scale}"
        if (run / "checkpoint.npz").exists():
            raise UsageError(f"{run} holds a run already; resume it, or choose another output folder")
    network = make_network(config.network)
    train_pairs, valid_pairs = split_pairs(Path(folder), config, validation)
    with tqdm(desc="decode", total=len(train_pairs), disable=None if progress else True, leave=False) as bar:
        source = PatchSource(
            train_pairs,
            config.scale,
            config.patch,
            Path(cache) if cache else None,
            lambda *_: bar.update() and None,
        )
    return Run(config, network, source, valid_pairs, run, str(folder), progress).go(state)


def split_pairs(
    folder: Path, config: TrainConfig, validation: str | PathLike[str] | None
) -> tuple[list[Pair], list[Pair]]:
    """Pairs to train on and pairs to validate on."""
    pairs = find_pairs(folder, config.scale)
    if validation is not None:
        return pairs, find_pairs(validation, config.scale, "valid")
    if (folder / "DIV2K_valid_HR").is_dir():
        return pairs, find_pairs(folder, config.scale, "valid")[: config.holdout]
    count = min(config.holdout, len(pairs) // 10)
    held = {round((n + 0.5) * len(pairs) / count) for n in range(count)}
    return [p for i, p in enumerate(pairs) if i not in held], [pairs[i] for i in sorted(held)]


def _refuse_changes(config: TrainConfig, options: dict[str, Any]) -> None:
    flat = dataclasses.asdict(config) | config.network
    for name, value in options.items():
        if flat.get(name) != value:
            raise UsageError(f"a resumed run keeps its {name} of {flat.get(name)!r}; leave the option out")


def first_state(network: Network, seed: int) -> State:
    """State before the first step."""
    params = dict(leaves(network.init(seed)))
    zeros = {name: np.zeros_like(a) for name, a in params.items() if ".running_" not in name}
    average = {name: a.copy() for name, a in params.items()}
    return State(params, zeros, {name: a.copy() for name, a in zeros.items()}, average)


def loss_and_grads(network: Network, params: Flat, x: Array, y: Array) -> tuple[float, Flat]:
    """L1 loss of a batch and its gradients by dotted name; running averages in `params` move."""
    out, back = network.apply(nest(params), x, train=True)
    loss, pull = l1_loss(out, y)
    _, grads = back(pull(1.0))
    return loss, dict(leaves(grads))


def train_step(state: State, network: Network, config: TrainConfig, x: Array, y: Array) -> tuple[State, float]:
    """One step on one batch."""
    loss, grads = loss_and_grads(network, state.params, x, y)
    rate = config.rate_at(state.step)
    params, m, v = adam(
        state.params,
        grads,
        state.m,
        state.v,
        state.step,
        rate,
        config.beta1,
        config.beta2,
        config.weight_decay,
    )
    average = moving_average(state.average, params, state.step, config.ema)
    return dataclasses.replace(state, params=params, m=m, v=v, average=average, step=state.step + 1), loss


class Run:
    """One training run and its folder.

    Parameters
    ----------
    config : TrainConfig
    network : Network
    source : PatchSource
    valid_pairs : list of Pair
        May be empty.
    folder : Path
    data : str
        The folder of pictures, for the records.
    progress : bool
    """

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        source: PatchSource,
        valid_pairs: Sequence[Pair],
        folder: Path,
        data: str,
        progress: bool,
    ) -> None:
        self.config, self.network, self.source, self.folder, self.data = config, network, source, folder, data
        self.progress = progress
        self.valid = [read_pair(pair, config.scale) for pair in valid_pairs]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "config.json").write_text(json.dumps(dataclasses.asdict(config), indent=2) + "\n")
        except OSError as error:
            raise DataError(f"cannot write to {folder} ({error.strerror}); choose another output folder") from None

    def go(self, state: State | None) -> Model:
        """Train from `state`, or from the beginning, to the last step."""
        config = self.config
        state = state or first_state(self.network, config.seed)
        losses: list[float] = []
        with _deferred_interrupt() as interrupted, self._bar(state) as bar:
            while state.step < config.steps:
                start = time.perf_counter()
                x, y = self.source.batch(config.seed, state.step, config.batch)
                new, loss = train_step(state, self.network, config, x, y)
                if not math.isfinite(loss):
                    raise TrainingDivergedError(
                        f"the loss is {loss} at step {state.step}; try a lower rate than {config.rate:g} or a longer "
                        f"warmup than {config.warmup}; {self.folder} keeps the last good checkpoint"
                    )
                seconds = time.perf_counter() - start
                state = dataclasses.replace(new, seconds=state.seconds + seconds)
                losses.append(loss)
                bar.update()
                bar.set_postfix_str(
                    f"loss {np.mean(losses[-100:]):.4f}, lr {config.rate_at(state.step - 1):.1e}, "
                    f"{config.batch / seconds:.0f} patches/s, best {state.best:.2f} dB"
                )
                last = state.step == config.steps
                if last or state.step % config.validate_every == 0:
                    state = self.validate(state, float(np.mean(losses)))
                    losses.clear()
                if last or interrupted.is_set() or state.step % config.checkpoint_every == 0:
                    save_checkpoint(self.folder / "checkpoint.npz", state, config, self.data)
                if interrupted.is_set() and not last:
                    raise KeyboardInterrupt
        model = self.model(state)
        save_model(self.folder / "weights.npz", model)
        return model

    def model(self, state: State, **facts: Any) -> Model:
        """The averaged weights with a card."""
        config = self.config
        card = {
            "data": Path(self.data).name,
            "pictures": len(self.source.entries),
            "steps": state.step,
            "minutes": round(state.seconds / 60, 1),
            "seed": config.seed,
            "train": dataclasses.asdict(config),
            "best_validation_psnr": None if state.best == float("-inf") else round(state.best, 3),
        }
        return Model(self.network, nest(state.average), card | facts)

    def validate(self, state: State, loss: float) -> State:
        """Judge the averaged weights, write a line of metrics, keep the best."""
        model = self.model(state)
        scores = [compare(run_uint8(model, lr, self.config.scale), hr, self.config.scale) for lr, hr in self.valid]
        psnr = float(np.mean([score[0] for score in scores])) if scores else None
        path = self.folder / "metrics.csv"
        header = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if header:
                writer.writerow(["step", "loss", "rate", "psnr", "seconds"])
            rate = self.config.rate_at(state.step - 1)
            writer.writerow([state.step, f"{loss:.6f}", f"{rate:.3e}", psnr, f"{state.seconds:.1f}"])
        if psnr is not None and psnr > state.best:
            state = dataclasses.replace(state, best=psnr)
            save_model(self.folder / "best.npz", self.model(state, validation_psnr=round(psnr, 3)))
        return state

    def _bar(self, state: State) -> "tqdm[Any]":
        return tqdm(
            total=self.config.steps, initial=state.step, disable=not self.progress, desc="train", unit="step",
            dynamic_ncols=True, smoothing=0.05,
        )  # fmt: skip


@contextmanager
def _deferred_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event that the loop looks at between steps; the second one ends at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handler(signum: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
