"""Training steps of one rank, timed: what ``benchmarks.bench_ranks`` starts, alone or by mpiexec.

The first rank prints a JSON line: the median seconds of a step, and what it sent and waited for.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.train_steps import SCALE, Case, batch_of, make_source, network_of
from npbsrn.networks.base import make_network
from npbsrn.runtime.shards import Sum
from npbsrn.runtime.threads import quiet_blas
from npbsrn.training.alone import Alone
from npbsrn.training.config import TrainConfig
from npbsrn.training.ranks import Ranks, find_ranks
from npbsrn.training.step import first_state, train_step

WARM, TRIES = 2, 200
STATISTIC = 96  # numbers in a message of statistics: mean and variance of 48 channels


class Counted:
    """Counts what a rank exchanges, and times what it waits."""

    def __init__(self, ranks: Alone) -> None:
        self.messages, self.bytes, self.waited = 0, 0, 0.0
        if isinstance(ranks, Ranks):
            self._watch(ranks.messages)

    def _watch(self, messages: Any) -> None:
        gather, begin, wait = messages.gather, messages.begin_sum, messages.wait

        def counted(own: np.ndarray, sizes: list[int]) -> np.ndarray:
            self.messages += 1
            self.bytes += own.nbytes
            return gather(own, sizes)

        def counted_sum(parts: np.ndarray, counts: list[int]) -> Sum:
            self.bytes += (parts.nbytes + parts[0].nbytes) * (messages.size - 1) // messages.size
            return begin(parts, counts)

        def timed(request: Any) -> None:
            start = time.perf_counter()
            wait(request)
            self.waited += time.perf_counter() - start

        messages.gather, messages.begin_sum, messages.wait = counted, counted_sum, timed

    def clear(self) -> None:
        """Begin anew."""
        self.messages, self.bytes, self.waited = 0, 0, 0.0


def parts(ranks: Ranks, numbers: int) -> dict[str, float]:
    """Seconds of one message of statistics, and of the sum of all gradients, while nothing else is done."""
    small, large = np.zeros(STATISTIC), np.zeros((1, numbers), np.float32)
    times: dict[str, list[float]] = {"message": [], "sum": []}
    for number in range(TRIES):
        start = time.perf_counter()
        ranks.messages.gather(small, [STATISTIC] * ranks.size)
        times["message"].append(time.perf_counter() - start)
        if number % 10 == 0:
            start = time.perf_counter()
            ranks.messages.begin_sum(large, [1] * ranks.size)()()
            times["sum"].append(time.perf_counter() - start)
    return {name: float(np.median(own)) for name, own in times.items()}


def main(name: str, case: Case, shards: int, steps: int) -> None:
    """Time the steps of this rank."""
    ranks = find_ranks()
    with ranks.together(), quiet_blas(), tempfile.TemporaryDirectory() as folder:
        whole = make_network({"name": name, "scale": SCALE}).config
        config = TrainConfig(network=whole, batch=case.batch, patch=case.patch, shards=shards)
        own = ranks.divide(shards, True)
        x, y = batch_of(make_source(Path(folder), case.patch), case, 0)
        if own is not None:
            first, last = own.part_of(len(x))
            x, y = x[first:last], y[first:last]
        network, counted, times = network_of(whole, case), Counted(ranks), []
        state = first_state(network, 0)
        for step in range(WARM + steps):
            if step == WARM:
                counted.clear()
            start = time.perf_counter()
            state, _ = train_step(state, network, config, x, y, None, own)
            times.append(time.perf_counter() - start)
        figures = {
            "step": float(np.median(times[WARM:])), "messages": counted.messages / steps,
            "bytes": counted.bytes / steps, "waited": counted.waited / steps, "numbers": state.m.vector.size,
        }  # fmt: skip
        if isinstance(ranks, Ranks):
            figures |= parts(ranks, state.m.vector.size)
        if ranks.first:
            print(json.dumps(figures))


if __name__ == "__main__":
    network, batch, patch, side, shards, steps = sys.argv[1:]
    main(network, Case(int(batch), int(patch), int(side)), int(shards), int(steps))
