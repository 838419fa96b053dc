"""``npbsrn bench``: time the enlargement of a picture on the user's own machine."""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from npbsrn.cli.costs import GROUPS, Costs, costs, engines_of
from npbsrn.cli.options import add_scale, set_option
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Runner
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.networks.base import NETWORKS
from npbsrn.runtime.threads import thread_count
from npbsrn.storage.drawing import check_drawing, make_figure, save_figure

Array = np.ndarray[Any, Any]

SIZES = ((180, 320), (540, 960))
ROUNDS = 7


class Rate(NamedTuple):
    """How fast pictures of one size, in pixels, are enlarged."""

    height: int
    width: int
    threads: int
    seconds: float

    @property
    def megapixels(self) -> float:
        """Of the picture that is taken in, in a second."""
        return self.height * self.width / self.seconds / 1e6

    def __str__(self) -> str:
        """A line of the table."""
        return f"{self.width:8}x{self.height:<8} {self.threads:5}   {self.seconds:9.4f}   {self.megapixels:.2f}"


Line = str | Rate | Costs


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
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures, too: .png, .svg or .pdf")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn bench``."""
    check_drawing(arguments.plot, arguments.overwrite)
    options: dict[str, Any] = {} if arguments.network is None else {"name": arguments.network}
    for setting in arguments.settings:
        set_option(options, setting)
    if options and not arguments.parts:
        raise UsageError("--network and --set describe a network whose time is to be estimated; add --parts")
    lines: list[Line] = []
    for line in _lines(arguments, options):
        tell(line, flush=True)
        lines.append(line)
    if arguments.plot is not None:
        title = str(lines[0])  # which kernel it was, at which scale
        if arguments.parts:
            figure = draw_costs([line for line in lines if isinstance(line, Costs)], title)
        else:
            figure = draw_rates([line for line in lines if isinstance(line, Rate)], title)
        save_figure(figure, arguments.plot, arguments.overwrite)
        tell(f"{arguments.plot} is written")


def _lines(arguments: argparse.Namespace, options: dict[str, Any]) -> Iterator[Line]:
    if arguments.parts:
        return costs(engines_of(arguments.model, options, arguments.scale), arguments.scale)
    return bench(arguments.model, arguments.scale)


def bench(model: str | PathLike[str] | None, scale: int) -> Iterator[str | Rate]:
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
            yield Rate(height, width, threads, seconds)
    reference, picture = choose_runner(model, scale, "reference"), np.zeros((*SIZES[0], 3), np.uint8)
    seconds = _time(lambda: reference.run(picture))
    yield f"the reference engine, {SIZES[0][1]}x{SIZES[0][0]}: {seconds:.2f} s"


def draw_rates(rates: Sequence[Rate], title: str) -> Any:
    """A figure: megapixels in a second, by size and threads."""
    figure = make_figure(7, 3.5)
    axes = figure.subplots()
    names = [f"{rate.width}x{rate.height}, {rate.threads} thread{'s' * (rate.threads > 1)}" for rate in rates]
    bars = axes.barh(names, [rate.megapixels for rate in rates])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.margins(x=0.12)  # room for the labels
    axes.invert_yaxis()
    axes.set_xlabel("megapixels taken in, in a second")
    axes.set_title(title)
    return figure


def draw_costs(networks: Sequence[Costs], title: str) -> Any:
    """A figure: where each network's time goes by the rates of this CPU, and its time by the clock as a mark."""
    figure = make_figure(8, 1.8 + 0.5 * len(networks))
    axes, ends = figure.subplots(), [0.0] * len(networks)
    labels = [network.label for network in networks]
    for group in GROUPS:
        parts = [network.parts[group] for network in networks]
        axes.barh(labels, parts, left=ends, label=group)
        ends = [end + part for end, part in zip(ends, parts, strict=True)]
    axes.plot([network.measured for network in networks], labels, "k|", markersize=18, label="measured")
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds")
    axes.set_title(title)
    figure.legend(ncols=7, loc="outside lower center")
    return figure


def _median(runner: Runner, picture: Array, threads: int) -> float:
    runner.run(picture[:32, :32], threads)  # compiles
    return float(np.median([_time(lambda: runner.run(picture, threads)) for _ in range(ROUNDS)]))


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
