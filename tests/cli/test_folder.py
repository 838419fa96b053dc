"""A folder that is interrupted, or whose process is killed: whole results, and a next run that goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.interrupts import Moment, interrupt
from npbsrn.cli.finding import pictures_below
from npbsrn.cli.parser import main

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
COUNT = 20


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Pictures that take some tenths of a second each to be written."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    rng = np.random.default_rng(0)
    for n in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8)).save(f"in/{n:02}.png", compress_level=1)
    return tmp_path


def results():
    """Those that are seen; all are whole."""
    found = sorted(Path("out").glob("*.png"))
    for path in found:
        with Image.open(path) as image:
            image.load()
            assert image.size == (600, 600)
    return found


def some_are_done():
    return len(list(Path("out").glob("*.png"))) >= 3 and any(Path("out").glob(".*.tmp"))


COMMAND = ["in", "-o", "out", "-s", "2", "-m", "bicubic", "-j", "2"]


@POSIX
@pytest.mark.parametrize("overwrite", [[], pytest.param(["--overwrite"], marks=pytest.mark.slow)])
def test_an_interrupt_says_how_many_are_done_and_leaves_whole_results(folder, overwrite):
    answer = interrupt(Moment([*COMMAND, *overwrite], some_are_done), signal.SIGINT)
    assert answer.code == 130
    (said,) = answer.said
    goes_on = "" if overwrite else "; the same command goes on with the others"
    done = re.fullmatch(rf"npbsrn: interrupted; (\d+) of {COUNT} pictures are done{re.escape(goes_on)}", said)
    assert done, said
    assert int(done[1]) <= len(results()) <= int(done[1]) + 2 < COUNT  # two that have just been written
    assert len(results()) == len(list(Path("out").iterdir()))  # and nothing else is left
    assert len(results()) >= 3


@POSIX
@pytest.mark.slow
def test_a_process_that_is_killed_leaves_whole_results_and_the_next_one_goes_on(folder, capsys):
    with subprocess.Popen(
        [sys.executable, "-m", "npbsrn", *COMMAND],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    ) as process:
        while not some_are_done():
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    done = results()
    left = [path for path in Path("out").iterdir() if path not in done]
    assert 3 <= len(done) < COUNT
    assert all(path.name.startswith(".") and path.name.endswith(".tmp") for path in left)
    before = {path: path.read_bytes() for path in done}
    assert main(COMMAND) == 0
    assert f"{COUNT - len(done)} pictures enlarged; {len(done)} existed already" in capsys.readouterr().out
    assert len(results()) == COUNT
    assert all(path.read_bytes() == content for path, content in before.items())
    assert pictures_below(Path("out")) == (results(), [])  # what is left of others is never taken for a picture


def test_an_interrupt_of_python_says_as_much(folder, monkeypatch, capsys):
    """Where the command is a function of another process, Python interrupts it."""
    count = []

    def run(self, picture, *_):
        count.append(picture)
        if len(count) > 2:
            raise KeyboardInterrupt
        return np.zeros((600, 600, 3), np.uint8)

    monkeypatch.setattr("npbsrn.inference.runners.Bicubic.run", run)
    assert main([*COMMAND[:-1], "1"]) == 130
    said = f"npbsrn: interrupted; 2 of {COUNT} pictures are done; the same command goes on with the others\n"
    assert capsys.readouterr().err == said
    assert len(list(Path("out").iterdir())) == 2
