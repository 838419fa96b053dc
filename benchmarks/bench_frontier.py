"""Time and PSNR of npbsrn's networks beside small float networks, x4 from 320x180 to 1280x720, and their frontier.

``python -m benchmarks.bench_frontier [--peers DIR] [--models NAME [LABEL=]FILE ...] [--sets DIR ...] [--threads 1 2]
[--quick] [--plot FILE.png]``, after ``pip install '.[peers,plot]'``. DIR holds ONNX files of float networks with public
weights, NAME-x4.onnx, which take and give bytes as npbsrn does; docs/log/performance.md says how to make them. OpenVINO
and ONNX Runtime run them; the quicker one counts. float32 is always timed, bfloat16 where the CPU multiplies it, int8
where DIR has a NAME-x4-int8.xml of `benchmarks.quantize_peers`, which OpenVINO runs.

All take turns on the same cores; figures are medians. PSNR is that of `npbsrn.evaluate`, on the given folders, by
default Set5 and Set14 in $NPBSRN_DATA; the frontier is that of the mean of the folders. A star is for what no other
network beats: none is as quick and better, or as good and quicker. The last line is JSON.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import npbsrn
from benchmarks.frontier import Point, frontier, plot, table
from benchmarks.peer_files import FileRunner, find_peers, precisions_of, runtimes
from benchmarks.timing import Figures, add_json, in_turn, record, show_lines
from npbsrn.errors import NpbsrnError
from npbsrn.inference.choose import choose_runner
from npbsrn.inference.runners import Runner
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import thread_count

Array = np.ndarray[Any, Any]
Enlarge = Callable[[Array], Array]
Network = tuple[str, str]  # name and precision; of ours, "bits"

HEIGHT, WIDTH, SCALE = 180, 320, 4
MODELS = ("bsrn", "clean", "fast")
BITS, OURS = "bits", "npbsrn"


def our_runners(models: Sequence[str]) -> tuple[dict[str, Runner], list[str]]:
    """By label; and what is to be said of those that are not there."""
    found: dict[str, Runner] = {}
    missing = []
    for words in models:
        label, equals, source = words.partition("=") if not Path(words).exists() else (Path(words).stem, "=", words)
        try:
            found[label] = choose_runner(source if equals else words, SCALE)
        except NpbsrnError as error:
            missing.append(f"{label}: {error}")
    return found, missing


def peer_files(folder: Path | None) -> tuple[dict[Network, Path], list[str]]:
    """Files by network and precision; and what is to be said of what is not there."""
    if folder is None:
        return {}, ["float networks: no folder is given by --peers"]
    peers = find_peers(folder, SCALE)
    files = {(name, precision): path for name, own in peers.items() for precision, path in precisions_of(own).items()}
    there = {precision for _, precision in files}
    missing = [] if peers else [f"float networks: {folder} has no NAME-x{SCALE}.onnx"]
    if peers and "bfloat16" not in there:
        missing.append("bfloat16: the CPU does not multiply it, or OpenVINO is not there")
    if peers and "int8" not in there:
        missing.append(f"int8: {folder} has no NAME-x{SCALE}-int8.xml")
    return files, missing


def judge(runner: Runner, sets: Sequence[Path]) -> dict[str, float]:
    """PSNR by the name of the set."""
    return {folder.name: npbsrn.evaluate(runner, folder, SCALE).mean.psnr for folder in sets}


def psnrs_of(ours: dict[str, Runner], files: dict[Network, Path], sets: Sequence[Path]) -> dict[Network, Any]:
    """PSNR by network and set; peers are judged by the first runtime there is."""
    found = {(label, BITS): judge(runner, sets) for label, runner in ours.items()}
    for (name, precision), path in files.items():
        for enlarge in list(runtimes(path, precision).values())[:1]:
            found[name, precision] = judge(FileRunner(name, SCALE, enlarge), sets)
    return found


def time_all(
    ours: dict[str, Runner], files: dict[Network, Path], threads: int, rounds: int
) -> dict[tuple[Network, str], float]:
    """Median seconds by network and runtime."""
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    ways: dict[tuple[Network, str], Callable[[], Array]] = {
        ((label, BITS), OURS): partial(runner.run, picture, threads) for label, runner in ours.items()
    }
    for network, path in files.items():
        found = runtimes(path, network[1], threads, (HEIGHT, WIDTH))
        check_alike(path, {name: enlarge(picture) for name, enlarge in found.items()})
        ways |= {(network, name): partial(enlarge, picture) for name, enlarge in found.items()}
    names = {f"{network} {runtime}": (network, runtime) for network, runtime in ways}
    seconds = in_turn({name: ways[way] for name, way in names.items()}, 1, rounds, 1)
    return {names[name]: value for name, value in seconds.items()}


def check_alike(path: Path, outputs: dict[str, Array]) -> None:
    """See that runtimes compute the same, up to a level by another rounding of sums."""
    first, *others = outputs.values()
    assert first.shape == (HEIGHT * SCALE, WIDTH * SCALE, 3), f"{path} gives {first.shape}"
    for output in others:
        apart = np.abs(output.astype(int) - first)
        assert np.mean(apart > 1) < 1e-3, f"{path}: runtimes do not agree"


def points_of(
    seconds: dict[tuple[Network, str], float], psnrs: dict[Network, dict[str, float]], threads: int
) -> list[Point]:
    """A point for each network and precision, by its quickest runtime."""
    points = []
    for network, psnr in psnrs.items():
        own = {runtime: value for (name, runtime), value in seconds.items() if name == network}
        runtime = min(own, key=lambda name: own[name])
        name, precision = network
        label = name if precision in (BITS, "float32") else f"{name} {precision}"
        by = runtime if precision == BITS else f"{runtime}, {precision}"
        points.append(Point(label, by, threads, own[runtime], psnr, precision == BITS))
    return points


def as_figures(points: Sequence[Point], best: Sequence[Point]) -> list[Figures]:
    """As the JSON line has them."""
    return [
        {
            "name": p.name, "by": p.by, "threads": p.threads, "ms": round(p.seconds * 1e3, 2),
            "psnr": {name: round(value, 6) for name, value in p.psnrs.items()}, "ours": p.ours, "frontier": p in best,
        }
        for p in points
    ]  # fmt: skip


def default_sets() -> list[Path]:
    """Set5 and Set14 in ``$NPBSRN_DATA``."""
    folder = os.environ.get("NPBSRN_DATA")
    return [path for name in ("Set5", "Set14") if folder and (path := Path(folder, name)).is_dir()]


def main() -> None:
    """Print tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, metavar="DIR", help="folder of NAME-x4.onnx")
    parser.add_argument("--models", nargs="+", default=MODELS, help="names, weight files or LABEL=FILE")
    parser.add_argument("--sets", type=Path, nargs="+", default=default_sets(), metavar="DIR", help="of pictures")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, thread_count()], help="numbers of threads")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="picture to draw")
    add_json(parser)
    args = parser.parse_args()
    if not args.sets:
        parser.error("name folders of pictures by --sets, or let NPBSRN_DATA name the folder of Set5 and Set14")
    show_lines()
    ours, missing = our_runners(args.models)
    files, more = peer_files(args.peers)
    for words in missing + more:
        print(f"left out: {words}")
    print(f"{cpu_name()}; npbsrn's kernel: {chosen_kernel()}")
    psnrs = psnrs_of(ours, files, args.sets)
    if not psnrs:
        parser.error("there is no network to time: none of the models, and no runtime for the peers")
    points: list[Point] = []
    figures: list[Figures] = []
    for threads in sorted(set(args.threads)):
        own = points_of(time_all(ours, files, threads, 3 if args.quick else 7), psnrs, threads)
        print(f"\nx{SCALE}, {WIDTH}x{HEIGHT} to {WIDTH * SCALE}x{HEIGHT * SCALE}, threads: {threads}")
        print("\n".join(table(own)))
        points += own
        figures += as_figures(own, frontier(own))
    if args.plot:
        plot(points, f"x{SCALE}, {WIDTH}x{HEIGHT} to {WIDTH * SCALE}x{HEIGHT * SCALE}, {cpu_name()}", args.plot)
    print(json.dumps({"cpu": cpu_name(), "kernel": chosen_kernel(), "points": figures, "left_out": missing + more}))
    record({"points": figures, "left_out": missing + more}, args.json)


if __name__ == "__main__":
    main()
