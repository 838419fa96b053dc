"""``npbsrn bench``: time the enlargement of a picture on the user's own machine."""

import argparse
import time
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

import numpy as np

from npbsrn.cli.options import add_scale
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Runner
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.runtime.threads import thread_count

Array = np.ndarray[Any, Any]

SIZES = ((180, 320), (540, 960))
ROUNDS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model."""
    add_scale(parser)
    parser.add_argument("-m", "--model", help="a model's name, weight file or run folder; default clean")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn bench``."""
    for words in bench(arguments.model, arguments.scale):
        tell(words, flush=True)


def bench(model: str | PathLike[str] | None, scale: int) -> Iterator[str]:
    """Lines of a table: seconds for pictures of noise, medians of `ROUNDS` runs, and of one of the reference engine.

    Raises
    ------
    UsageError
        If the model is "bicubic", or cannot be packed.
    """
    if model == "bicubic":
        raise UsageError("bench times networks; name weights, or leave the model out")
    engine = choose_runner(model, scale, "packed")
    yield f"packed engine, kernel {getattr(engine, 'kernel', chosen_kernel())}, x{scale}, {thread_count()} CPUs"
    yield "    pixels in     threads   seconds   megapixels in a second"
    for height, width in SIZES:
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        for threads in sorted({1, thread_count()}):
            seconds = _median(engine, picture, threads)
            rate = height * width / seconds / 1e6
            yield f"{width:8}x{height:<8} {threads:5}   {seconds:9.4f}   {rate:.2f}"
    reference, picture = choose_runner(model, scale, "reference"), np.zeros((*SIZES[0], 3), np.uint8)
    seconds = _time(lambda: reference.run(picture))
    yield f"the reference engine, {SIZES[0][1]}x{SIZES[0][0]}: {seconds:.2f} s"


def _median(runner: Runner, picture: Array, threads: int) -> float:
    runner.run(picture[:32, :32], threads)  # compiles
    return float(np.median([_time(lambda: runner.run(picture, threads)) for _ in range(ROUNDS)]))


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
