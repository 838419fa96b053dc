"""Time the packed engine: BSRN x4 from 320x180 to 1280x720, against float networks of its shape, in one run.

``python -m benchmarks.bench_upscale [--quick] [--threads 1 2] [--no-peers] [--model RUN]``, after
``pip install '.[peers]'``; a peer that is missing is left out. The picture is noise: what it shows does not
matter to speed. What is compared runs in turn, and figures are medians. First the binary 3x3 convolution by itself, by
one thread; then whole pictures; then where the engine's time goes; then what a picture costs by its size. The last
line is JSON: its figures are for all threads; those whose names end in `_1`, of the 3x3 and of the parts, for one.

The engine takes bytes and gives bytes, with the bicubic base in them. The peers are spared that: they take and give
float32 planes, and add no base.

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
from benchmarks.counts import MACS3, NAMES, OWN, WIDTH, BinaryConvolution, count_ceiling
from benchmarks.step_table import Row
from benchmarks.timing import cpu_name, in_turn
from benchmarks.upscale_parts import (
    TAIL,
    rows_of,
    seconds_of_counts,
    seconds_of_plain_tail,
    whole_and_parts,
)
from benchmarks.upscale_peers import PEERS, FloatNetwork, Run, check_alike, threads_of, torch_convolutions
from npbsrn.inference.runners import Reference
from npbsrn.kernels.cpu import chosen_kernel, features
from npbsrn.packed.engine import Engine
from npbsrn.packed.lower import Folded, fold
from npbsrn.runtime.threads import thread_count
from npbsrn.storage.models import Model, load

Array = np.ndarray[Any, Any]
Figures = dict[str, Any]

HEIGHT, WIDTH_PIXELS, SCALE = 180, 320, 4
MEGAPIXELS, LARGE = (0.0625, 0.25, 1.0), (4.0, 8.0)
OURS = "ours"
CONVOLUTIONS = {"torch": "PyTorch, float32"} | {way: f"npbsrn, {name}" for way, name in NAMES.items()}


def noise(height: int, width: int) -> Array:
    """A picture."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


# --- the 3x3 convolution ---


def time_convolution(quick: bool, peers: bool) -> Figures:
    """48 channels to 48, by one thread."""
    ours = BinaryConvolution(HEIGHT, WIDTH_PIXELS)
    steps: dict[str, Run] = dict(ours.ways())
    if peers:
        x = np.where(ours.negative[None], np.float32(-1), np.float32(1))
        steps |= torch_convolutions(x, ours.signs.astype(np.float32), 1)
    seconds = in_turn(steps, 2, 3 if quick else 8, 5)
    by_layout = [seconds.pop(name) for name in list(seconds) if name not in CONVOLUTIONS]
    if by_layout:
        seconds["torch"] = min(by_layout)
    return _convolution_figures(seconds, count_ceiling())


def _convolution_figures(seconds: dict[str, float], ceiling: float) -> Figures:
    macs = MACS3 * HEIGHT * WIDTH_PIXELS
    print(f"\nConvolution 3x3, {WIDTH} to {WIDTH} channels, {WIDTH_PIXELS}x{HEIGHT}, one thread")
    for name, value in seconds.items():
        share = f", {macs / value / ceiling:.0%} of what its instructions can do" if name == OWN else ""
        print(f"    {CONVOLUTIONS[name]:36} {value * 1e3:8.2f} ms  {macs / value / 1e9:7.0f} GMAC/s{share}")
    rates = {f"conv3x3_{name}_gmacs": macs / seconds[name] / 1e9 if name in seconds else None for name in CONVOLUTIONS}
    over = seconds["torch"] / seconds[OWN] if "torch" in seconds else None
    return {"conv3x3_over_torch": over, "conv3x3_of_ceiling": macs / seconds[OWN] / ceiling, **rates}


# --- whole pictures ---


class Case:
    """The network in its three forms, and a picture."""

    def __init__(self, path: str | None) -> None:
        self.model: Model = load(path, SCALE)
        self.folded: Folded = fold(self.model)
        self.engine = Engine(self.folded)
        self.picture = noise(HEIGHT, WIDTH_PIXELS)
        self.float_network = FloatNetwork(self.model.network.config, self.picture)


def time_pictures(case: Case, threads: int, suffix: str, quick: bool, peers: bool) -> Figures:
    """The engine and its peers in turn, and what is slow behind them."""
    found = case.float_network.peers(threads) if peers else {}
    outputs = {name: run() for name, run in found.items()}  # which also warms them up
    ours = partial(npbsrn.upscale, case.picture, SCALE, case.engine, threads=threads)
    ours()
    steps: dict[str, Run] = {OURS: ours}
    for name, run in found.items():
        steps |= {name: run, f"{OURS} after {name}": ours}
    seconds = in_turn(steps, 0, 1 if quick and found else 5, 1)
    own = float(np.median([seconds.pop(name) for name in steps if name.startswith(OURS)]))
    if not (quick and suffix):  # of what is slow, one number of threads will do
        seconds |= time_slow(case, quick, outputs)
    check_alike(outputs)
    print(f"\nBSRN x{SCALE}, {WIDTH_PIXELS}x{HEIGHT} to {WIDTH_PIXELS * SCALE}x{HEIGHT * SCALE}, threads: {threads}")
    print(f"    {'npbsrn, packed engine':36} {own * 1e3:8.1f} ms")
    for name, value in seconds.items():
        print(f"    {LABELS[name]:36} {value * 1e3:8.1f} ms  {value / own:6.2f}x")
    ratios = {name: seconds[name] / own if name in seconds else None for name in LABELS}
    return {f"upscale_s{suffix}": own, **{f"upscale_over_{name}{suffix}": ratio for name, ratio in ratios.items()}}


LABELS = PEERS | {"reference": "npbsrn, reference engine", "float": "npbsrn, float network by NumPy"}


def time_slow(case: Case, quick: bool, outputs: dict[str, Array]) -> dict[str, float]:
    """npbsrn's other ways, with as many threads as `npbsrn.runtime.threads.thread_count` says; once if quick."""

    def by_numpy() -> None:
        outputs["float"] = case.float_network.run()

    steps = {"reference": lambda: Reference(case.model).run(case.picture), "float": by_numpy}
    return in_turn(steps, 0, 1 if quick else 3, 1)


# --- where the time goes, and what a picture costs ---


def print_rows(whole: float, rows: list[Row]) -> None:
    """The table of the parts."""
    print(f"\nWhere the engine's time goes, one thread, {whole * 1e3:.1f} ms in all")
    print(f"    {'part':38} {'measured':8} {'ms':>8}  {'of run':>7}  of ceiling")
    for row in rows:
        of_ceiling = f"{row.least / row.seconds:6.0%} {row.ceiling}" if row.ceiling else "     -"
        print(f"    {row.name:38} {row.how:8} {row.seconds * 1e3:8.2f}  {row.seconds / whole:7.1%}  {of_ceiling}")


def time_parts(case: Case, quick: bool) -> Figures:
    """By one thread."""
    repeats = 5 if quick else 15
    fma, ceiling = measure_ceilings().fma, count_ceiling()
    whole, parts = whole_and_parts(case.engine, case.picture, repeats)
    composed = parts[TAIL].seconds
    of_fma = {"tail_of_fma": parts[TAIL].work / composed / fma}
    counts = seconds_of_counts(case.engine, HEIGHT, WIDTH_PIXELS, repeats)
    blocks, channels = len(case.engine.words3), case.engine.channels
    macs = blocks * (9 + 1 + 1) * channels**2 * HEIGHT * WIDTH_PIXELS
    print_rows(whole, rows_of(whole, parts, counts, macs, ceiling, fma))
    print(f"    ceilings, one thread: {NAMES[OWN]} {ceiling / 1e9:.0f}, FMA {fma / 1e9:.0f} GMAC/s")
    plain = seconds_of_plain_tail(case.folded, HEIGHT, WIDTH_PIXELS, 1 if quick else 5)
    times = f"as one convolution {composed * 1e3:.1f} ms, one by one {plain * 1e3:.1f} ms"
    print(f"    the tail's convolutions: {times}, {plain / composed:.2f}x")
    return {"counts_of_run": counts / whole, "tail_plain_over_composed": plain / composed, **of_fma}


def time_sizes(engine: Engine, threads: int, quick: bool) -> Figures:
    """Seconds a megapixel by the size of the picture."""
    print(f"\nCost by size of the picture, threads: {threads}")
    figures = {}
    for size in MEGAPIXELS if quick else MEGAPIXELS + LARGE:
        side = round((size * 1e6) ** 0.5)
        run = partial(engine.run, noise(side, side), threads=threads)
        rounds = 1 if quick or size in LARGE else 5
        per_megapixel = in_turn({OURS: run}, 1, rounds, 1)[OURS] / (side * side / 1e6)
        print(f"    {size:7g} MP  {per_megapixel:7.3f} s a megapixel")
        figures[f"s_per_mp_at_{size:g}mp"] = per_megapixel
    return figures


def main() -> None:
    """Print tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; under a minute")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, thread_count()], help="numbers of threads")
    parser.add_argument("--no-peers", action="store_true", help="npbsrn alone")
    parser.add_argument("--model", help="weights of an x4 network; by default those that come with the package")
    args = parser.parse_args()
    case, most = Case(args.model), max(args.threads)
    print(f"npbsrn's kernels: {NAMES[OWN]}; compiled for {' '.join(sorted(features()))}")
    figures: Figures = {"threads": most, "kernel": chosen_kernel(), "cpu": cpu_name()}
    figures |= time_convolution(args.quick, not args.no_peers)
    for threads in sorted(set(args.threads)):
        with threads_of(threads):
            suffix = "" if threads == most else f"_{threads}"
            figures |= time_pictures(case, threads, suffix, args.quick, not args.no_peers)
    with threads_of(1):
        figures |= time_parts(case, args.quick)
    figures |= time_sizes(case.engine, most, args.quick)
    print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in figures.items()}))


if __name__ == "__main__":
    main()
