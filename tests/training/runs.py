"""What tests of whole runs share."""

import csv
import os
import signal

import numpy as np

from npbsrn.storage.params import load_arrays
from npbsrn.training import loop
from npbsrn.training.alone import Alone


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a | b)


def arrays(path):
    return load_arrays(path)[0]


def interrupt_at(monkeypatch, step):
    """Raise SIGINT in this process while the given step is computed."""
    inner = loop.train_step

    def step_and_interrupt(state, *args):
        if state.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return inner(state, *args)

    monkeypatch.setattr(loop, "train_step", step_and_interrupt)


def read_metrics(run):
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Waited(Alone):
    """Ranks of which the others wait now, or do not."""

    waiting = False

    def lead(self, work):
        self.waiting = True
        try:
            return super().lead(work)
        finally:
            self.waiting = False
