"""The training loop: batch, step, and again, with validation and checkpoints in between."""

import dataclasses
import hashlib
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from npbsrn.errors import TrainingDivergedError
from npbsrn.images.metrics import compare
from npbsrn.inference.choose import runner_of_model
from npbsrn.inference.runners import Runner
from npbsrn.kernels.compiling import WATCH
from npbsrn.models import Model
from npbsrn.networks.base import Network
from npbsrn.runtime.interrupts import Deferral, Interrupted, deferred
from npbsrn.runtime.shards import Shards
from npbsrn.runtime.threads import quiet_blas
from npbsrn.storage.params import nest
from npbsrn.storage.run_files import BEST, FINAL
from npbsrn.training.alone import Alive, Alone
from npbsrn.training.checkpoint import State
from npbsrn.training.config import TrainConfig
from npbsrn.training.data import PatchSource
from npbsrn.training.records import Records
from npbsrn.training.step import train_step
from npbsrn.training.validation import ValidationSet

Array = np.ndarray[Any, Any]

SELDOM = 30  # seconds between two drawings of the bar where it is no terminal but a log
SHOWN = 3  # pictures of a validation set that are kept

# What is said of interrupts.
WAITS = "interrupted; the state is saved behind this step, another interrupt ends at once"
SAVED = "; the state is saved, --resume goes on"
BEGUN = "; --resume goes on"
LAST = "; --resume goes on from the last checkpoint"


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Parameters
    ----------
    config : TrainConfig
    network : Network
    source : PatchSource
    valid : list of ValidationSet
        The first decides which weights are best; may be empty.
    records : Records
    progress : bool
    teacher : Model, optional
    ranks : Alone
    shards : Shards, optional
        Those of this rank, if batches are divided.
    """

    config: TrainConfig
    network: Network
    source: PatchSource
    valid: list[ValidationSet]
    records: Records
    progress: bool
    teacher: Model | None = None
    ranks: Alone = Alone()  # noqa: RUF009  # which has no state
    shards: Shards | None = None

    def go(self, state: State) -> Model:
        """Train from `state` to the last step; returns the averaged weights."""
        self.records.begin_metrics(state.judged)
        if state.step == 0:
            self._checkpoint(state)  # so that a run that is killed early can be resumed, too
        with deferred(WAITS if self.ranks.first else "", LAST) as interrupt:
            with quiet_blas(), self._bar(state) as bar, self._batches(state) as ahead:
                state = self._steps(state, interrupt, bar, ahead)
            with interrupt.at_once(SAVED):
                model = self.model(state)
                self.ranks.lead(lambda _: self.records.weights(FINAL, model))
                self.records.log(f"end at step {state.step}, {state.seconds / 60:.1f} minutes of training")
        return model

    def _steps(
        self, state: State, interrupt: Deferral, bar: "tqdm[Any]", ahead: Iterator[tuple[Array, Array]]
    ) -> State:
        """All steps that are left. What can be lost is saved before anything that takes long."""
        config, saved = self.config, state.step
        losses: deque[float] = deque(maxlen=100)
        compiled: set[int] = set()  # sizes of patches that have been trained on: a new one may need other kernels
        if self._is_due(state):  # the run was interrupted while it was judged
            state = self._judged(state, interrupt)
        while state.step < config.steps:
            patch = config.patch_at(state.step)
            if patch not in compiled and saved < state.step:
                self._save(state)
                saved = state.step
            with nullcontext() if patch in compiled else interrupt.at_once(SAVED if compiled else BEGUN):
                state, loss = self._timed_step(state, ahead)
            compiled.add(patch)
            losses.append(loss)
            bar.set_postfix_str(self._words(state, losses, bar), refresh=False)
            _advance(bar)
            due, interrupted = self._is_due(state), self.ranks.interrupted(interrupt.number is not None)
            if due or state.step % config.checkpoint_every == 0 or interrupted:
                self._save(state)
                saved = state.step
            if interrupted:
                raise Interrupted(SAVED, interrupt.number or signal.SIGINT)
            if due:
                state = self._judged(state, interrupt)
        return state

    def _is_due(self, state: State) -> bool:
        """Whether the state is to be judged."""
        config = self.config
        return state.judged < state.step and (state.step == config.steps or state.step % config.validate_every == 0)

    def _judged(self, state: State, interrupt: Deferral) -> State:
        """A state that is saved, judged."""
        with interrupt.at_once(SAVED):
            state = self._validate(state)
            self._checkpoint(state, again=True)
        return state

    def _save(self, state: State) -> None:
        self._refuse_infinite(state, *state.params.values())
        self.ranks.refuse_drift(hashlib.blake2b(state.params.vector.tobytes(), digest_size=16).digest())
        self._checkpoint(state)

    def _checkpoint(self, state: State, again: bool = False) -> None:
        """See `Records.checkpoint`; the others wait for it, as one that ended meanwhile would end the first, too."""
        self.ranks.lead(lambda _: self.records.checkpoint(state, again=again))

    def model(self, state: State) -> Model:
        """The averaged weights with a card."""
        card = {
            "data": Path(self.records.origin.folder or "").name,
            "pictures": len(self.source.entries),
            "steps": state.step,
            "minutes": round(state.seconds / 60, 1),
            "seed": self.config.seed,
            "init": self.records.origin.init,
            "teacher": None if (teacher := self.records.origin.teacher) is None else Path(teacher).name,
            "train": dataclasses.asdict(self.config),
            "validation_psnr": None if state.psnr is None else round(state.psnr, 3),
        }
        return Model(self.network, nest(state.average), card)

    @contextmanager
    def _batches(self, state: State) -> Iterator[Iterator[tuple[Array, Array]]]:
        """The batches from `state` on; while one is used, a thread reads the next."""
        config, part = self.config, None if self.shards is None else self.shards.part_of(self.config.batch)

        def batch(step: int) -> tuple[Array, Array]:
            return self.source.batch(config.seed, step, config.batch, config.patch_at(step), part)

        def one_ahead(pool: ThreadPoolExecutor) -> Iterator[tuple[Array, Array]]:
            coming = pool.submit(batch, state.step)
            for step in range(state.step + 1, config.steps + 1):
                ready = coming.result()
                if step < config.steps:
                    coming = pool.submit(batch, step)
                yield ready

        with ThreadPoolExecutor(1) as pool:
            yield one_ahead(pool)

    def _timed_step(self, state: State, batches: Iterator[tuple[Array, Array]]) -> tuple[State, float]:
        start = time.perf_counter()
        x, y = next(batches)
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused right below
            new, loss = train_step(state, self.network, self.config, x, y, self.teacher, self.shards)
        self._refuse_infinite(state, np.array(loss))
        total, count = state.losses
        seconds = state.seconds + time.perf_counter() - start
        return dataclasses.replace(new, seconds=seconds, losses=(total + loss, count + 1)), loss

    def _refuse_infinite(self, state: State, *arrays: Array) -> None:
        if not all(np.all(np.isfinite(array)) for array in arrays):
            raise TrainingDivergedError(
                f"the loss or a weight is no longer finite at step {state.step}; try a lower rate than "
                f"{self.config.rate:g} or a longer warmup than {self.config.warmup}; {self.records.folder} keeps the "
                "last good checkpoint, if there was one"
            )

    def _validate(self, state: State) -> State:
        """Judge the averaged weights, write a line of metrics, keep the best."""
        scores = self.ranks.lead(lambda alive: self._judged_sets(state, alive))
        psnr = scores[0][0] if scores else None
        state = dataclasses.replace(state, psnr=psnr)
        self.records.metrics(state, scores)
        if psnr is not None and psnr > state.best:
            state = dataclasses.replace(state, best=psnr)
            self.records.weights(BEST, self.model(state))
        return dataclasses.replace(state, judged=state.step, losses=(0.0, 0))

    def _judged_sets(self, state: State, alive: Alive) -> list[tuple[float, float]]:
        runner = runner_of_model(self.model(state))  # as `npbsrn.upscale` will run it
        return [self._judge(runner, held, alive) for held in self.valid]

    def _judge(self, runner: Runner, held: ValidationSet, alive: Alive) -> tuple[float, float]:
        """Mean PSNR and SSIM on a set; some of the pictures are kept."""
        scores, scale = [], self.config.scale
        for number, (name, lr, hr) in enumerate(held.pictures):
            result = runner.run(lr)
            scores.append(compare(result, hr, scale))
            if number < SHOWN:
                self.records.picture(held.name, name, result)
            alive()
        psnr, ssim = (float(np.nanmean(column)) for column in zip(*scores, strict=True))
        return psnr, ssim

    def _bar(self, state: State) -> "tqdm[Any]":
        return tqdm(
            total=self.config.steps, initial=state.step, disable=not self.progress, desc="train", unit="step",
            dynamic_ncols=True, smoothing=0.05, mininterval=0.1 if sys.stderr and sys.stderr.isatty() else SELDOM,
        )  # fmt: skip

    def _words(self, state: State, losses: "deque[float]", bar: "tqdm[Any]") -> str:
        steps_a_second = bar.format_dict["rate"] or 0.0
        best = "" if state.best == float("-inf") else f", best {state.best:.2f} dB"
        return (
            f"loss {np.mean(losses):.4f}, lr {self.config.rate_at(state.step - 1):.1e}, "
            f"{self.config.batch * steps_a_second:.0f} patches/s{best}"
        )


def _advance(bar: "tqdm[Any]") -> None:
    """One step more. Time in which kernels were compiled says nothing of the steps to come: the clock begins anew."""
    if WATCH.news():
        bar.unpause()
    bar.update()
