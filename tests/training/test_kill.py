"""kill -9 at random moments: resuming always works, and ends as the undisturbed run, bit for bit."""

import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from npbsrn.storage.params import load_arrays

KILLS = 20
SETTINGS = ("blocks=1", "width=4", "checkpoint_every=3", "validate_every=100", "holdout=0")


def command(*words):
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    return [sys.executable, "-m", "npbsrn", "train", *words, *options, "--quiet"]


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again(photographs, tmp_path, monkeypatch):
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "cache"))
    start = [str(photographs), "--batch", "2", "--patch", "6", "--steps", "4000"]
    subprocess.run(command(*start, "-o", str(tmp_path / "whole")), check=True, stdout=subprocess.DEVNULL)

    chance, kills, hurt = random.Random(3), 0, tmp_path / "hurt"
    while not (hurt / "weights.npz").exists():
        begun = (hurt / "checkpoint.npz").exists() or (hurt / "checkpoint-previous.npz").exists()
        words = ["--resume"] if begun else start
        run = subprocess.Popen(
            command(*words, "-o", str(hurt)), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        if kills < KILLS:
            time.sleep(chance.uniform(0.3, 1.6))
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                kills += 1
        _, said = run.communicate()
        assert run.returncode in (0, -signal.SIGKILL), said
    assert kills == KILLS, "the run ended too early: make it longer"
    for name in ("checkpoint.npz", "weights.npz"):
        whole, other = (load_arrays(tmp_path / run / name)[0] for run in ("whole", "hurt"))
        assert all(np.array_equal(whole[key], other[key]) for key in whole | other)
