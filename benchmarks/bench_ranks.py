"""Time training by two MPI ranks against one and two threads of one process, and what more ranks would give.

``python -m benchmarks.bench_ranks [--network bbcu] [--quick]``, after ``pip install '.[mpi]' mpich``. Processes are
started in turn; each trains some steps on noise, and figures are medians over the starts. A rank has one thread.

Strong scaling: 16 patches by one rank, and by two. Weak scaling: 8 patches by one rank, 16 by two. The prediction for
two ranks, from 8 patches by one rank and from single messages between two, is held against what was measured; then the
same model is given the latency and bandwidth of two networks, which are assumptions, and 16 patches for each rank. The
last line is JSON.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from benchmarks.timing import Figures, add_json, record, rounded, show_lines
from benchmarks.train_steps import CASES, Case
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.shards import BUCKET

RANKS = [2**k for k in range(11)]


@dataclass(frozen=True)
class Network:
    """What is between the ranks: an assumption.

    Parameters
    ----------
    name : str
    latency : float
        Seconds of a message from one rank to another.
    bandwidth : float
        Bytes a second of each rank.
    """

    name: str
    latency: float
    bandwidth: float


NETWORKS = (Network("InfiniBand, 100 Gbit/s", 2e-6, 12e9), Network("Ethernet, 10 Gbit/s", 25e-6, 1.1e9))


def exchange_seconds(ranks: int, messages: float, numbers: int, own: float, network: Network) -> float:
    """What a step exchanges, none of it hidden behind the computation.

    Statistics of n ranks take ``log2 n`` steps, in which all of them arrive; the gradients, once to be summed and once
    to be given back, n - 1 messages each for every bucket, and 2 (n - 1) / n times their bytes.

    Parameters
    ----------
    ranks : int
    messages : float
        Of statistics in a step.
    numbers : int
        Gradients, float32.
    own : float
        Seconds that our side of a message takes.
    network : Network
    """
    statistics = own + math.ceil(math.log2(ranks)) * network.latency + 768 * (ranks - 1) / network.bandwidth
    buckets = math.ceil(numbers / BUCKET)
    gradients = 2 * (ranks - 1) * (buckets * network.latency + 4 * numbers / ranks / network.bandwidth)
    return messages * statistics + gradients


def start(name: str, case: Case, ranks: int, threads: int, shards: int, steps: int) -> dict[str, float]:
    """What the first rank says of its steps."""
    words = [sys.executable, "-m", "benchmarks.rank_steps", name]
    words += map(str, (case.batch, case.patch, case.side, shards, steps))
    if ranks > 1:
        mpiexec = shutil.which("mpiexec", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
        words = [mpiexec or "mpiexec", "-n", str(ranks), *words]
    own = os.environ | {"NPBSRN_NUM_THREADS": str(threads)}
    done = subprocess.run(words, env=own, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, quick: bool) -> dict[str, dict[str, float]]:
    """Medians of all setups, in turn."""
    whole = next(iter(CASES[name].values()))
    half = whole._replace(batch=whole.batch // 2)
    setups = {
        "one rank": (whole, 1, 1, 1),
        "one rank, half": (half, 1, 1, 1),
        "two threads": (whole, 1, 2, 1),
        "two threads, four shards": (whole, 1, 2, 4),
        "two ranks": (whole, 2, 1, 2),
    }
    found: dict[str, list[dict[str, float]]] = {words: [] for words in setups}
    for _ in range(2 if quick else 4):
        for words, (case, *rest) in setups.items():
            found[words].append(start(name, case, *rest, 3 if quick else 6))
    return {
        words: {key: float(np.median([one[key] for one in rows])) for key in rows[0]} for words, rows in found.items()
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="bbcu", choices=sorted(CASES))
    parser.add_argument("--quick", action="store_true", help="two starts of three steps, not four of six")
    add_json(parser)
    options = parser.parse_args()
    show_lines()
    print(f"{cpu_name()}; {options.network}, {next(iter(CASES[options.network].values())).words}")
    found = measure(options.network, options.quick)
    for words, own in found.items():
        print(f"    {words:28} {own['step']:8.4f} s a step")
    one, half, two = found["one rank"], found["one rank, half"], found["two ranks"]
    figures: Figures = {
        f"step_{words.replace(', ', '_').replace(' ', '_')}_s": own["step"] for words, own in found.items()
    }
    figures["strong"] = one["step"] / two["step"] / 2
    figures["weak"] = half["step"] / two["step"]
    figures["over_threads"] = found["two threads"]["step"] / two["step"]
    print(f"strong scaling {figures['strong']:.0%}, weak {figures['weak']:.0%}")
    print(f"two ranks against two threads: {figures['over_threads']:.2f}x as fast")
    figures |= {name: two[name] for name in ("messages", "bytes", "waited", "message", "sum")}
    print(
        f"a step of two ranks: {two['messages']:.0f} messages of statistics, {two['bytes'] / 1e6:.1f} MB sent by each, "
        f"{1e3 * two['waited']:.1f} ms of waiting; by itself a message takes {1e6 * two['message']:.0f} us, the sum of "
        f"all gradients {1e3 * two['sum']:.1f} ms"
    )
    figures["predicted"] = half["step"] + two["messages"] * two["message"] + two["sum"]
    off = figures["predicted"] / two["step"] - 1
    print(f"two ranks as predicted: {figures['predicted']:.4f} s, {off:+.0%} of what was measured")
    print("weak scaling as predicted, 16 patches a rank:")
    print(f"    {'ranks':>6}" + "".join(f"{network.name:>26}" for network in NETWORKS))
    for ranks in RANKS:
        shares = []
        for network in NETWORKS:
            more = exchange_seconds(ranks, two["messages"], int(two["numbers"]), two["message"], network)
            shares.append(one["step"] / (one["step"] + (more if ranks > 1 else 0)))
            figures[f"weak_{ranks}_{network.name.split(',')[0].lower()}"] = shares[-1]
        print(f"    {ranks:6}" + "".join(f"{share:26.0%}" for share in shares))
    print(json.dumps(rounded(figures)))
    record(figures, options.json)


if __name__ == "__main__":
    main()
