"""Time the packed engine x4 from 320x180 to 1280x720, against float networks of its network's shape, in one run.

``python -m benchmarks.bench_upscale [--network NAME] [--binarizer NAME] [--quick] [--threads 1 2] [--no-peers]
[--model RUN]``, after ``pip install '.[peers]'``; a peer that is missing is left out. The picture is noise: what it
shows does not matter to speed. Weights are those that ship, where they do, else random. What is compared runs in turn,
and figures are medians. First the binary 3x3 convolution by itself, by one thread; then whole pictures; then where the
engine's time goes; then what a picture costs by its size. The last line is JSON: its figures are for all threads; those
whose names end in `_1`, of the 3x3 and of the parts, for one.

The engine takes bytes and gives bytes, with bicubic enlargement in them. The peers are spared that: they take and give
float32 planes, VDSR's enlarged ones. They have the binary network's options, and stand there with the plain tail and
with a composed one (benchmarks/upscale_peers.py).

For the figures of a CPU with AVX2 and no more, on a larger one, set NUMBA_CPU_NAME=x86-64 and
NUMBA_CPU_FEATURES=+avx2,+fma,+bmi,+bmi2,+popcnt for npbsrn, ATEN_CPU_CAPABILITY=avx2 for PyTorch, and
ONEDNN_MAX_CPU_ISA=AVX2 for PyTorch and OpenVINO; ONNX Runtime heeds none of these. What npbsrn's kernels are compiled
for is printed.
"""

import argparse
import json
from functools import partial
from typing import Any

import numpy as np

import npbsrn
from benchmarks.ceilings import measure_ceilings
from benchmarks.counts import NAMES, OWN, count_ceiling, ways
from benchmarks.float_runtimes import Run, better_layouts, torch_layouts
from benchmarks.step_table import Row
from benchmarks.timing import Figures, add_json, in_turn, record, rounded, show_lines
from benchmarks.upscale_parts import (
    rows_of,
    seconds_of_counts,
    seconds_of_plain_tail,
    whole_and_parts,
)
from benchmarks.upscale_peers import COMPOSED, PEERS, FloatNetwork, threads_of
from npbsrn.binarizers.base import SCHEMES
from npbsrn.inference.choose import runner_of_model
from npbsrn.inference.runners import Reference, Runner
from npbsrn.kernels.cpu import chosen_kernel, features
from npbsrn.kernels.race import BinaryConvolution
from npbsrn.models import Model, load
from npbsrn.networks.base import NETWORKS, make_network
from npbsrn.packed.lower import lower
from npbsrn.packed.stopwatch import TAIL, convolutions_of
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import thread_count
from npbsrn.shipped import latent_weights

Array = np.ndarray[Any, Any]

HEIGHT, WIDTH, SCALE = 180, 320, 4
MEGAPIXELS, LARGE = (0.0625, 0.25, 1.0), (4.0, 8.0)
OURS = "ours"
CONVOLUTIONS = {"torch": "PyTorch, float32"} | {way: f"npbsrn, {name}" for way, name in NAMES.items()}
SHIPPED = ("bsrn", "bam")
SLOW = 2e11  # multiply-accumulates from which a float network is run less often, and not by npbsrn's layers


def noise(height: int, width: int) -> Array:
    """A picture."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# --- the 3x3 convolution ---


def time_convolution(channels: int, quick: bool, peers: bool) -> Figures:
    """From so many channels to as many, by one thread."""
    ours = BinaryConvolution(channels, HEIGHT, WIDTH)
    steps: dict[str, Run] = dict(ways(ours))
    if peers:
        x = np.where(ours.negative[None], np.float32(-1), np.float32(1))
        layouts = torch_layouts([("conv", ours.signs.astype(np.float32), None)], x, 1)
        steps |= {f"torch/{layout}": run for layout, run in layouts.items()}
    seconds = in_turn(steps, 2, 3 if quick else 8, 5)
    seconds, _ = better_layouts(seconds)
    ceiling, macs = count_ceiling(), 9 * channels**2 * HEIGHT * WIDTH
    print(f"\nConvolution 3x3, {channels} to {channels} channels, {WIDTH}x{HEIGHT}, one thread")
    for name, value in seconds.items():
        share = f", {macs / value / ceiling:.0%} of what its instructions can do" if name == OWN else ""
        print(f"    {CONVOLUTIONS[name]:36} {value * 1e3:8.2f} ms  {macs / value / 1e9:7.0f} GMAC/s{share}")
    rates = {f"conv3x3_{name}_gmacs": macs / seconds[name] / 1e9 if name in seconds else None for name in CONVOLUTIONS}
    over = seconds["torch"] / seconds[OWN] if "torch" in seconds else None
    return {"conv3x3_over_torch": over, "conv3x3_of_ceiling": macs / seconds[OWN] / ceiling, **rates}


# --- whole pictures ---


class Case:
    """The network in its three forms, and a picture."""

    def __init__(self, path: str | None, network: str, binarizer: str) -> None:
        if path is not None or (network, binarizer) == SHIPPED:
            self.model: Model = load(latent_weights("bsrn", SCALE) if path is None else path)
        else:
            whole = make_network({"name": network, "scale": SCALE, "binarizer": binarizer})
            self.model = Model(whole, whole.init(0))
        config = self.model.network.config
        self.name = f"{config['name']} x{SCALE}, {config['binarizer']['name']}"
        self.runner: Runner = runner_of_model(self.model)
        self.packed = not isinstance(self.runner, Reference)
        self.picture = noise(HEIGHT, WIDTH)
        self.float_network = FloatNetwork(config, self.picture)
        self.macs = self.float_network.multiplications()
        self.slow = self.macs[""] > SLOW


def time_pictures(case: Case, threads: int, suffix: str, quick: bool, peers: bool) -> Figures:
    """The engine and its peers in turn, and what is slow behind them."""
    print(f"\n{case.name}, {WIDTH}x{HEIGHT} to {WIDTH * SCALE}x{HEIGHT * SCALE}, threads: {threads}")
    found = case.float_network.peers(threads) if peers else {}
    outputs = {name: run() for name, run in found.items()}  # which also warms them up
    ours = partial(npbsrn.upscale, case.picture, SCALE, case.runner, threads=threads)
    ours()
    steps: dict[str, Run] = {OURS: ours}
    for name, run in found.items():
        steps |= {name: run, f"{OURS} after {name}": ours}
    seconds = in_turn(steps, 0, 1 if quick and found else 3 if case.slow else 5, 1)
    own = float(np.median([seconds.pop(name) for name in steps if name.startswith(OURS)]))
    seconds, layouts = better_layouts(seconds)
    if not case.slow and not (quick and suffix):  # of what is slow, one number of threads will do
        seconds |= time_slow(case, quick, outputs)
    case.float_network.check_alike(outputs)
    print_times(case, own, seconds, layouts)
    ratios = {name: seconds[name] / own if name in seconds else None for name in LABELS}
    figures = {f"upscale_over_{name}{suffix}": ratio for name, ratio in ratios.items()}
    return {f"upscale_s{suffix}": own} | figures | {f"layout_{name}{suffix}": own for name, own in layouts.items()}


LABELS = PEERS | {"reference": "npbsrn, reference engine", "float": "npbsrn, float network by NumPy"}


def print_times(case: Case, own: float, seconds: dict[str, float], layouts: dict[str, str]) -> None:
    """The table, with what each of the float networks multiplies, and which layout PyTorch is the fastest with."""
    words = "npbsrn, packed engine" if case.packed else "npbsrn, reference engine: it cannot be packed"
    print(f"    {words:36} {own * 1e3:8.1f} ms")
    for name, value in seconds.items():
        macs = case.macs[COMPOSED if COMPOSED in name else ""] if name != "reference" else None
        work = f"  {macs / 1e9:6.1f} GMAC" if macs else ""
        work += f", {layouts[name]}" if name in layouts else ""
        print(f"    {LABELS[name]:36} {value * 1e3:8.1f} ms  {value / own:6.2f}x{work}")


def time_slow(case: Case, quick: bool, outputs: dict[str, Array]) -> dict[str, float]:
    """npbsrn's other ways, with as many threads as `npbsrn.runtime.threads.thread_count` says; once if quick."""

    def by_numpy() -> None:
        outputs["float"] = case.float_network.details(case.float_network.run())

    steps: dict[str, Run] = {"float": by_numpy}
    if case.packed:
        steps = {"reference": partial(Reference(case.model).run, case.picture)} | steps
    return in_turn(steps, 0, 1 if quick else 3, 1)


# --- where the time goes, and what a picture costs ---


def print_rows(whole: float, rows: list[Row]) -> None:
    """The table of the parts."""
    print(f"\nWhere the engine's time goes, one thread, {whole * 1e3:.1f} ms in all")
    print(f"    {'part':38} {'measured':8} {'ms':>8}  {'of run':>7}  of ceiling")
    for row in rows:
        of_ceiling = f"{row.least / max(row.seconds, 1e-9):6.0%} {row.ceiling}" if row.ceiling else "     -"
        print(f"    {row.name:38} {row.how:8} {row.seconds * 1e3:8.2f}  {row.seconds / whole:7.1%}  {of_ceiling}")


def time_parts(case: Case, quick: bool) -> Figures:
    """By one thread."""
    repeats = 1 if case.slow else 5 if quick else 15
    plan, fma, ceiling = lower(case.model), measure_ceilings().fma, count_ceiling()
    factor = SCALE if plan.enlarged else 1
    height, width = HEIGHT * factor, WIDTH * factor
    whole, parts = whole_and_parts(case.runner, case.picture, repeats)
    composed = parts[TAIL]
    counts = seconds_of_counts(plan, height, width, repeats)
    macs = sum(w.size for w in convolutions_of(plan)) * height * width
    rows = rows_of(whole, parts, counts, macs, ceiling, fma)
    print_rows(whole, rows)
    print(f"    ceilings, one thread: {NAMES[OWN]} {ceiling / 1e9:.0f}, FMA {fma / 1e9:.0f} GMAC/s")
    figures: Figures = {
        "counts_of_run": counts / whole,
        "parts_ms": {row.name: round(row.seconds * 1e3, 2) for row in rows},
    }
    if plan.shuffles and composed.seconds:
        plain = seconds_of_plain_tail(plan, HEIGHT, WIDTH, 1 if quick else 5)
        times = f"as one convolution {composed.seconds * 1e3:.1f} ms, one by one {plain * 1e3:.1f} ms"
        print(f"    the tail's convolutions: {times}, {plain / composed.seconds:.2f}x")
        figures["tail_plain_over_composed"] = plain / composed.seconds
        figures["tail_of_fma"] = composed.work / composed.seconds / fma
    return figures


def time_sizes(case: Case, threads: int, quick: bool) -> Figures:
    """Seconds a megapixel by the size of the picture."""
    print(f"\nCost by size of the picture, threads: {threads}")
    figures = {}
    for size in MEGAPIXELS[:2] if quick and case.slow else MEGAPIXELS if quick or case.slow else MEGAPIXELS + LARGE:
        side = round((size * 1e6) ** 0.5)
        run = partial(case.runner.run, noise(side, side), threads=threads)
        rounds = 1 if quick or case.slow or size in LARGE else 5
        per_megapixel = in_turn({OURS: run}, 1, rounds, 1)[OURS] / (side * side / 1e6)
        print(f"    {size:7g} MP  {per_megapixel:7.3f} s a megapixel")
        figures[f"s_per_mp_at_{size:g}mp"] = per_megapixel
    return figures


def main() -> None:
    """Print tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="bsrn", choices=sorted(NETWORKS), help="which network")
    parser.add_argument("--binarizer", default="bam", choices=sorted(SCHEMES), help="which scheme")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, thread_count()], help="numbers of threads")
    parser.add_argument("--no-peers", action="store_true", help="npbsrn alone")
    parser.add_argument("--model", help="weights of an x4 network, in the place of network and scheme")
    add_json(parser)
    args = parser.parse_args()
    show_lines()
    case, most = Case(args.model, args.network, args.binarizer), max(args.threads)
    config = case.model.network.config
    print(f"npbsrn's kernels: {NAMES[OWN]}; compiled for {' '.join(sorted(features()))}")
    figures: Figures = {"network": config["name"], "binarizer": config["binarizer"]["name"]}
    figures |= {"threads": most, "kernel": chosen_kernel(), "cpu": cpu_name()}
    figures |= {f"gmacs{name}": macs / 1e9 for name, macs in case.macs.items()}
    figures |= time_convolution(config["width"], args.quick, not args.no_peers)
    for threads in sorted(set(args.threads)):
        with threads_of(threads):
            suffix = "" if threads == most else f"_{threads}"
            figures |= time_pictures(case, threads, suffix, args.quick, not args.no_peers)
    if case.packed and convolutions_of(lower(case.model)):
        with threads_of(1):
            figures |= time_parts(case, args.quick)
    if case.packed:
        figures |= time_sizes(case, most, args.quick)
    print(json.dumps(rounded(figures)))
    record(rounded(figures), args.json)


if __name__ == "__main__":
    main()
