"""Seconds from an interrupt to the answer and to the end of the process, at moments when something takes long.

``python -m benchmarks.interrupts``: each moment is met by a process of its own, with one thread and freshly made
pictures of noise. ``tests/test_interrupts.py`` meets the same moments.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from npbsrn.runtime.machine import cpu_name

WAIT = 120.0  # seconds in which a moment comes


@dataclass(frozen=True)
class Moment:
    """When a command is interrupted.

    Parameters
    ----------
    command : list of str
        What follows ``npbsrn``.
    come : callable
        Whether the moment has come, which is asked again and again.
    delay : float
        Seconds to wait then.
    environment : dict
        Variables that are set.
    """

    command: list[str]
    come: Callable[[], bool]
    delay: float = 0.0
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """How a process answered: seconds to its first line and to its end, its exit code, and all that it said."""

    first: float
    end: float
    code: int
    said: list[str]


def interrupt(moment: Moment, number: int, again: bool = False) -> Answer:
    """Run a command and send it a signal at a moment, or two of them."""
    words = [sys.executable, "-m", "npbsrn", *moment.command]
    with subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | moment.environment
    ) as process:
        assert process.stderr is not None
        begin = time.perf_counter()
        while not (_catches(process.pid, number) and moment.come()):
            if process.poll() is not None or time.perf_counter() - begin > WAIT:
                process.kill()
                raise RuntimeError(f"there was no such moment; {process.stderr.read()}")
            time.sleep(0.005)
        time.sleep(moment.delay)
        begin = time.perf_counter()
        process.send_signal(number)
        said = [process.stderr.readline()]
        first = time.perf_counter() - begin
        if again:
            process.send_signal(number)
        said += process.stderr.readlines()
        code = process.wait()
        return Answer(first, time.perf_counter() - begin, code, [line.rstrip("\n") for line in said])


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler; before that, Python itself is still at its beginning."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        time.sleep(0.5)  # no such folder here
        return True
    caught = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigCgt"))
    return all(caught >> (one - 1) & 1 for one in (signal.SIGTERM, number))  # SIGINT is Python's own before


def moments(folder: Path) -> dict[str, Moment]:
    """Moments at which something takes long, with their pictures in `folder`; results go to its ``out`` and ``run``."""
    out, run, cache, kept = (folder / name for name in ("out", "run", "cache", "kernels"))
    for name, height, width in (
        ("small", 40, 40),
        ("large", 3000, 4000),
        ("middle", 1200, 1600),
        ("photographs/a", 900, 900),
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(picture).save(folder / f"{name}.png", compress_level=1)
    out.mkdir()
    small, middle, large, photographs = (
        str(folder / name) for name in ("small.png", "middle.png", "large.png", "photographs")
    )
    compiled_anew = {"NUMBA_CACHE_DIR": str(kept)}
    caches = {"NPBSRN_CACHE": str(cache), "NPBSRN_NUM_THREADS": "1"}
    upscale = ["upscale", "-o", str(out / "out.png"), "--threads", "1", "-i"]
    train = ["train", photographs, "-o", str(run), "--quiet", "--set", "holdout=0", "--set", "validate_every=1000000"]
    validation = [*train[:-1], "validate_every=2", "--validation", str(folder / "validation")]
    (folder / "validation").mkdir()
    (folder / "validation/large.png").symlink_to(middle)

    def compiles() -> bool:
        return any(kept.rglob("*.nbi"))

    def is_saved() -> bool:
        return (run / "checkpoint-previous.npz").exists()

    return {
        "import": Moment(["info"], lambda: True),
        "import, later": Moment(["info"], lambda: True, 0.1),
        "compiling": Moment([*upscale, small], compiles, 1.0, compiled_anew),
        "a large picture": Moment([*upscale, large], lambda: True, 4.0),
        "writing a large picture": Moment(
            [*upscale, middle, "-m", "bicubic"], lambda: any(out.glob(".*.tmp")), 0.2
        ),
        "compiling the first step": Moment(train, compiles, 1.0, caches | compiled_anew),
        "training": Moment([*train, "--set", "checkpoint_every=3"], is_saved, 0.1, caches),
        "a long step": Moment([*train, "--batch", "60", "--set", "checkpoint_every=1"], is_saved, 0.1, caches),
        "validation": Moment(validation, is_saved, 1.0, caches),
    }  # fmt: skip


def main() -> None:
    """Print a table."""
    print(f"{cpu_name()}: seconds from an interrupt to the answer and to the end")
    with tempfile.TemporaryDirectory() as folder:
        names = list(moments(Path(folder)))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                answer = interrupt(moments(Path(folder))[name], number)
            print(f"    {number.name:8} {name:26} {answer.first:6.2f} {answer.end:6.2f}", flush=True)


if __name__ == "__main__":
    main()
