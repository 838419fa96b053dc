"""How many steps fit into a time budget."""

import dataclasses
import time

import numpy as np

from npbsrn.models import Model
from npbsrn.networks.base import Network
from npbsrn.runtime.shards import Shards
from npbsrn.runtime.threads import quiet_blas
from npbsrn.training.config import TrainConfig
from npbsrn.training.data import PatchSource
from npbsrn.training.step import first_state, train_step

TRAINING_SHARE = 0.95  # of a time budget; the rest is for validation and checkpoints


def fit_to_time(
    minutes: float, config: TrainConfig, network: Network, source: PatchSource, teacher: Model | None,
    shards: Shards | None,
) -> TrainConfig:  # fmt: skip
    """A configuration whose steps fit the time: some steps are timed and discarded.

    Parameters
    ----------
    minutes : float
    config, network, source, teacher, shards
        See `npbsrn.training.loop.Run`; all ranks time their parts of the same batches.
    """
    seconds, part = {}, None if shards is None else shards.part_of(config.batch)
    with quiet_blas():
        for patch in {config.patch, config.late_patch or config.patch}:
            state, times = first_state(network, config.seed), []
            for step in range(8):
                start = time.perf_counter()
                x, y = source.batch(config.seed, step, config.batch, patch, part)
                with np.errstate(over="ignore", invalid="ignore"):  # a run that diverges is refused when it is trained
                    state, _ = train_step(state, network, config, x, y, teacher, shards)
                times.append(time.perf_counter() - start)
            seconds[patch] = float(np.median(times[2:]))  # the first ones compile
    late = seconds[config.late_patch or config.patch]
    mean = config.late_from * seconds[config.patch] + (1 - config.late_from) * late
    return dataclasses.replace(config, steps=max(1, int(minutes * 60 * TRAINING_SHARE / mean)))
