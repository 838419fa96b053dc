"""What the engine's kinds of work take on this CPU, and what a network takes by that and by the clock."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from npbsrn.errors import UsageError
from npbsrn.inference.choose import choose_runner
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.models import Model
from npbsrn.networks.base import make_network
from npbsrn.packed.cost import Rates, Work, work_of
from npbsrn.packed.engine import Engine
from npbsrn.packed.lower import lower
from npbsrn.packed.stopwatch import BLOCKS, HEAD, TAIL, TRUNK, Parts, Run, count_seconds, timed_runs
from npbsrn.shipped import MODELS

Array = np.ndarray[Any, Any]

OUT = 720, 1280  # pixels of the result
ROUNDS = 7  # of which the quickest counts: what else the machine does only adds to a time
# Networks from which the rates come: 3x3 alone, with activation and skip; 3x3 and 1x1, without; with E and a 9x9 head.
SAMPLES: tuple[dict[str, Any], ...] = (
    {"name": "bbcu", "blocks": 8},
    {"name": "bsrn", "blocks": 3, "activation": "none", "binarizer": {"statistic": "none"}},
    {"name": "srresnet", "blocks": 3},
)
UNITS = {
    "counts3": ("binary 3x3 convolutions", 1e12, "ms per GMAC"),
    "counts1": ("binary 1x1 convolutions", 1e12, "ms per GMAC"),
    "values": ("values passed between convolutions", 1e9, "ns each"),
    "activated": ("activation and skip of such a value", 1e9, "ns each"),
    "means": ("E of such a value", 1e9, "ns each"),
    "head": ("float convolution: head", 1e12, "ms per GMAC done"),
    "trunk": ("float convolution: trunk, or direct tail", 1e12, "ms per GMAC done"),
    "tail": ("float convolution: composed tail, base", 1e12, "ms per GMAC done"),
    "pixels": ("rounding, shuffle, copies", 1e9, "ns per pixel out"),
}


def untrained(options: dict[str, Any], scale: int) -> Engine:
    """The engine of a network whose weights are the first ones: as quick as with any others."""
    network = make_network({"scale": scale} | options)
    return Engine(lower(Model(network, network.init(0))))


def engines_of(model: str | PathLike[str] | None, options: dict[str, Any], scale: int) -> dict[str, Engine]:
    """By label: of a network's options, of a model, or of all models that come with the package.

    Raises
    ------
    UsageError
        If both are given, or a network cannot be packed, or its activations are floats.
    """
    if options and model is not None:
        raise UsageError("--model names weights, and --network a network without any; take one of them")
    if options:
        options = {"name": "bbcu"} | options
        settings = ",".join(f"{name}={value}" for name, value in options.items() if name != "name")
        found: dict[str, Any] = {f"{options['name']} {settings}": untrained(options, scale)}
    else:
        names = [name for name, own in MODELS.items() if scale in own.scales] if model is None else [model]
        found = {str(name): choose_runner(name, scale, "packed") for name in names}
    for label, engine in found.items():
        if not isinstance(engine, Engine) or engine.program is None:
            raise UsageError(f"{label} is not computed by bits, and has no such parts")
    return found


def picture_for(scale: int) -> Array:
    """Noise, of which the result has `OUT` pixels."""
    size = OUT[0] // scale, OUT[1] // scale // 32 * 32, 3
    return np.random.default_rng(0).integers(0, 256, size, np.uint8)


def measured_rates(scale: int, rounds: int = ROUNDS) -> Rates:
    """Seconds of each kind of work on this CPU, by one thread.

    Raises
    ------
    UsageError
        With the kernel "numpy", which does not count.
    """
    if chosen_kernel() == "numpy":
        raise UsageError("the kernel numpy has no parts to time; leave NPBSRN_KERNEL out")
    picture = picture_for(scale)
    height, width, _ = picture.shape
    samples: list[tuple[Work, Run, float]] = []
    for options in SAMPLES:
        engine = untrained(options, scale)
        run = timed_runs(engine, picture, rounds)[0]
        counts = count_seconds(engine.plan, height, width, rounds)[0]
        samples.append((work_of(engine, height, width), run, counts))
    return solved(samples)


def solved(samples: list[tuple[Work, Run, float]]) -> Rates:
    """Rates from the work, the parts' seconds and the counts' seconds of `SAMPLES`, in their order."""
    (plain, (_, parts), counts), (mixed, (_, more), others), (means, (_, most), last) = samples
    counts3 = counts / plain.counts3
    counts1 = max(others - counts3 * mixed.counts3, 0) / mixed.counts1
    values = (more[BLOCKS].seconds - others) / mixed.values
    activated = max(parts[BLOCKS].seconds - counts - values * plain.values, 0) / plain.activated
    mean = most[BLOCKS].seconds - last - values * means.values - activated * means.activated
    mean = max(mean, 0) / means.means
    runs = [run for _, run, _ in samples]
    rest = sum(whole - sum(part.seconds for part in own.values()) for whole, own in runs)
    head, trunk, tail = (_rate(name, [own for _, own in runs]) for name in (HEAD, TRUNK, TAIL))
    pixels = rest / sum(work.pixels for work, _, _ in samples)
    return Rates(counts3, counts1, values, activated, mean, head, trunk, tail, pixels)


def _rate(name: str, runs: list[Parts]) -> float:
    """Of the work that was done in all of them."""
    return sum(parts[name].seconds for parts in runs) / sum(parts[name].work for parts in runs)


def rates_table(rates: Rates) -> Iterator[str]:
    """Lines."""
    yield "    what                                         takes"
    for name, value in dataclasses.asdict(rates).items():
        words, factor, unit = UNITS[name]
        yield f"    {words:42} {value * factor:7.3f} {unit}"


GROUPS = ("counts", "values", "head", "trunk", "tail", "rest")  # of a network's work


@dataclass(frozen=True)
class Costs:
    """A network's milliseconds by one thread.

    Parameters
    ----------
    label : str
    parts : dict
        By `GROUPS`, as the rates of this CPU have them; their sum is the estimate.
    measured : float
        By the clock.
    """

    label: str
    parts: dict[str, float]
    measured: float

    def __str__(self) -> str:
        """A line of the table."""
        parts, estimate = " ".join(f"{part:6.1f}" for part in self.parts.values()), sum(self.parts.values())
        return f"    {self.label:20} {parts} {estimate:9.1f} {self.measured:9.1f} {estimate / self.measured - 1:+7.1%}"


HEADINGS = " ".join(
    [f"    {'milliseconds':20}", *(f"{name:>6}" for name in GROUPS), f"{'estimate':>9} {'measured':>9} {'error':>7}"]
)


def costs_of(label: str, engine: Engine, rates: Rates, scale: int, rounds: int = ROUNDS) -> Costs:
    """The estimate of a network's time, its parts, and the time by the clock."""
    picture = picture_for(scale)
    work, seconds = work_of(engine, *picture.shape[:2]).times(rates), timed_runs(engine, picture, rounds)[0][0]
    groups = work.counts3 + work.counts1, work.values + work.activated + work.means, work.head, work.trunk, work.tail
    parts = {name: part * 1e3 for name, part in zip(GROUPS, (*groups, work.pixels), strict=True)}
    return Costs(label, parts, seconds * 1e3)


def costs(engines: dict[str, Engine], scale: int) -> Iterator[str | Costs]:
    """Lines: the rates of this CPU, and each network by them beside its time by the clock, by one thread."""
    yield f"kernel {chosen_kernel()}, x{scale}, to {OUT[1]}x{OUT[0]}, one thread"
    rates = measured_rates(scale)
    yield from rates_table(rates)
    yield HEADINGS
    for label, engine in engines.items():
        yield costs_of(label, engine, rates, scale)
