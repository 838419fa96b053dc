"""``npbsrn bench``: time the enlargement of a picture on the user's own machine."""

import argparse
import time
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

import numpy as np

from npbsrn.cli.costs import costs, engines_of
from npbsrn.cli.options import add_scale, set_option
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Runner
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.networks.base import NETWORKS
from npbsrn.runtime.threads import thread_count

Array = np.ndarray[Any, Any]

SIZES = ((180, 320), (540, 960))
ROUNDS = 7


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model."""
    add_scale(parser)
    parser.add_argument("-m", "--model", help="a model's name, weight file or run folder; default clean")
    parser.add_argument(
        "--parts", action="store_true",
        help="what each kind of work takes, and the times of networks by that and by the clock; default all models",
    )  # fmt: skip
    parser.add_argument("--network", help=f"with --parts, an untrained network: {', '.join(sorted(NETWORKS))}")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="an option of that network, such as blocks=16 or width=96",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn bench``."""
    options: dict[str, Any] = {} if arguments.network is None else {"name": arguments.network}
    for setting in arguments.settings:
        set_option(options, setting)
    if options and not arguments.parts:
        raise UsageError("--network and --set describe a network whose time is to be estimated; add --parts")
    if arguments.parts:
        lines = costs(engines_of(arguments.model, options, arguments.scale), arguments.scale)
    else:
        lines = bench(arguments.model, arguments.scale)
    for words in lines:
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
