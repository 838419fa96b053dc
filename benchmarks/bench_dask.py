"""Time a folder over `npbsrn upscale --dask local`'s machinery against a plain pool of processes on the same cores.

``python -m benchmarks.bench_dask [--count 24] [--rounds 3] [--suffix .jpg] [--model clean] [--workers N]``.
Both sides carry out the same requests by the same function, one thread each, the largest picture first, into a new
folder each time. They run in turn, `rounds` times, and the other one runs first in every second round; figures are
medians. The processes of both are started, have loaded the network and enlarged one picture before: that is not timed.
The pictures are those of `benchmarks.bench_folder`. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.bench_folder import make_pictures
from benchmarks.timing import add_json, record, rounded, show_lines
from npbsrn.cli.cluster import network_of, sizes_of
from npbsrn.cluster.client import LOCAL, Cluster
from npbsrn.cluster.requests import Network, Outcome, Request
from npbsrn.cluster.worker import enlarge
from npbsrn.images.saving import Saving
from npbsrn.inference.any_scale import runner_for
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import thread_count

COUNT, ROUNDS, SIDE = 24, 3, (500, 500)
BAR = 0.95  # of the pool's throughput

Side = Callable[[Sequence[Request]], list[Outcome]]


def requests_for(source: Path, target: Path, network: Network) -> list[Request]:
    """One for each picture of a folder."""
    saving, mark = Saving(make_folder=True), secrets.token_hex(8)
    pictures = sorted(source.iterdir())
    return [Request(path, target / path.name, source, network, saving, mark=mark) for path in pictures]


def over(cluster: Cluster) -> Side:
    """The cluster's way."""

    def run(requests: Sequence[Request]) -> list[Outcome]:
        sizes = sizes_of([request.source for request in requests])
        return [result() for _, result in cluster.results(requests, sizes, lambda waiting: None)]

    return run


def in_pool(pool: ProcessPoolExecutor) -> Side:
    """The plain way."""

    def run(requests: Sequence[Request]) -> list[Outcome]:
        sizes = sizes_of([request.source for request in requests])
        order = sorted(range(len(requests)), key=lambda place: -sizes[place])
        return [future.result() for future in [pool.submit(enlarge, requests[place]) for place in order]]

    return run


def seconds_of(side: Side, requests: Sequence[Request], target: Path) -> float:
    """How long one side takes to write all results into a new folder."""
    start = time.perf_counter()
    outcomes = side([replace(request, target=target / request.source.name) for request in requests])
    seconds = time.perf_counter() - start
    if failed := [outcome.words for outcome in outcomes if outcome.error]:
        raise SystemExit(failed[0])
    return seconds


def measured(options: argparse.Namespace, network: Network) -> dict[str, list[float]]:
    """Seconds of each round of both sides."""
    times: dict[str, list[float]] = {"pool": [], "dask": []}
    with (
        TemporaryDirectory() as place,
        ProcessPoolExecutor(options.workers, multiprocessing.get_context("spawn")) as pool,
    ):
        (source := Path(place) / "in").mkdir()
        make_pictures(source, options.count, options.suffix, *options.side)
        requests = requests_for(source, Path(place), network)
        first = requests[: 2 * options.workers]
        seconds_of(in_pool(pool), first, Path(place) / "pool")  # before Dask adds to the environment of new processes
        with Cluster(LOCAL, options.workers) as cluster:
            seconds_of(over(cluster), first, Path(place) / "dask")
            sides = {"pool": in_pool(pool), "dask": over(cluster)}
            for turn in range(options.rounds):
                for name in sorted(sides, reverse=turn % 2 == 0):
                    times[name].append(seconds_of(sides[name], requests, Path(place) / f"{name}-{turn}"))
    return times


def main() -> None:
    """Print the pictures a second of both sides, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--suffix", default=".jpg")
    parser.add_argument("--model", default="clean")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--workers", type=int, default=thread_count())
    parser.add_argument("--side", type=int, nargs=2, default=SIDE, help="height and width of the pictures")
    add_json(parser)
    options = parser.parse_args()
    show_lines()
    print(f"{cpu_name()}; {options.workers} workers of one thread")
    runner = runner_for(options.model, options.scale)
    runner.run(np.zeros((32, 32, 3), np.uint8))  # compiles
    network = network_of(options.model, "auto", runner)
    times = measured(options, network)
    figures: dict[str, Any] = {name: options.count / float(np.median(seconds)) for name, seconds in times.items()}
    ratios = [pool / dask for pool, dask in zip(times["pool"], times["dask"], strict=True)]
    figures |= {"ratio": float(np.median(ratios)), "bar": BAR}
    print(f"pool of processes  {figures['pool']:.3f} pictures a second")
    print(f"over Dask          {figures['dask']:.3f} pictures a second")
    print(f"throughput         {figures['ratio']:.3f} of the pool's  ({', '.join(f'{ratio:.3f}' for ratio in ratios)})")
    figures |= {"workers": options.workers, "suffix": options.suffix, "model": options.model, "count": options.count}
    print(json.dumps(rounded(figures)))
    record(rounded(figures), options.json)


if __name__ == "__main__":
    main()
