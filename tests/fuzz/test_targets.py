"""The targets of the guided runs, on their seeds and on a few changes that are drawn at random; the watch that sees."""

import random
import subprocess
import sys
import warnings

import numpy as np
import pytest

from tests.fuzz import names, pictures, tensors, watch, weights

CHANGES = 150


def flip(data: bytes) -> bytes:
    """What libFuzzer does in a hundred ways."""
    if not data:
        return b"\0"
    at = len(data) * 2 // 3
    return data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what is taken")
@pytest.mark.parametrize("target", [pictures, weights, tensors, names], ids=["pictures", "weights", "tensors", "names"])
def test_changed_inputs_are_read_or_refused(tmp_path, target):
    if target is tensors:
        pytest.importorskip("safetensors")
    rng, seeds = random.Random(7), list(target.seeds().values())
    if target is weights:
        seeds = [data for data in seeds if len(data) < 3000]  # of which kernels read one network
    outcomes = set()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(CHANGES):
            data = target.mutate(rng.choice(seeds), rng, flip)
            folder = tmp_path / "in"
            folder.mkdir()
            outcomes.add(target.run(data, folder))
            watch._empty(folder)
            folder.rmdir()
    assert len(outcomes) >= 3


SPY = """
import os, subprocess, sys
from pathlib import Path
from tests.fuzz.watch import Watch
def run(data, folder):
    match data:
        case b"write": Path("/tmp/../tmp/npbsrn-elsewhere").write_bytes(b"")
        case b"run": subprocess.run(["true"])
        case b"unpickle": __import__("pickle").loads(b"cos\\nsystem\\n.")
        case b"memory": bytearray(1100 << 20)
        case b"print": os.write(2, b"\\x1b[2J")
        case b"raise": raise KeyError("a")
        case b"leave": (folder / ".a.tmp").touch()
    return "done"
watch = Watch(run)
for data in sys.argv[1:]:
    print(data, *watch.look(data.encode()).faults)
os.path.exists("/tmp/npbsrn-elsewhere") and os.unlink("/tmp/npbsrn-elsewhere")
"""
SEEN = {
    "write": "open elsewhere",
    "run": "subprocess.Popen",
    "unpickle": "pickle.find_class",
    "memory": "memory",
    "print": "printed",
    "raise": "KeyError",
    "leave": "left behind",
    "nothing": "",
}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what is taken")
def test_the_watch_sees_what_it_must():
    done = subprocess.run([sys.executable, "-c", SPY, *SEEN], capture_output=True, text=True, check=True)
    lines = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    assert all((fault in lines[name]) and bool(fault) == bool(lines[name].strip()) for name, fault in SEEN.items()), (
        lines
    )


def test_seeds_are_pictures():
    assert len(pictures.seeds()) > 100
    assert all(isinstance(data, bytes) and 0 < len(data) < watch.LARGEST for data in pictures.seeds().values())
    assert np.mean([len(data) for data in pictures.seeds().values()]) < 2000
