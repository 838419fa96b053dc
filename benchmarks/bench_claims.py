"""What "58x faster" and "32x smaller" come to: each kind of layer and whole networks, in time and in bytes.

``python -m benchmarks.bench_claims [--quick]``, after ``pip install '.[peers]'``, prints docs/claims.md's tables; one
thread, x4 to 1280x720. A peer is the float network of the same shape, or the same layer on floats, in PyTorch's better
layout. Its tail is composed, as ours: that is, it is spared what we are spared.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import npbsrn
from benchmarks.float_runtimes import Run, better_layouts, torch_layouts
from benchmarks.timing import Figures, add_json, in_turn, record, show_lines
from benchmarks.upscale_peers import COMPOSED, FloatNetwork
from npbsrn.cli.costs import measured_rates, picture_for
from npbsrn.inference.choose import choose_runner
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.kernels.race import BinaryConvolution
from npbsrn.models import Model
from npbsrn.networks.base import Network, make_network
from npbsrn.packed.engine import Engine
from npbsrn.packed.format import save_packed
from npbsrn.packed.lower import lower
from npbsrn.runtime.machine import cpu_name

Array = np.ndarray[Any, Any]

SCALE = 4
HEIGHT, WIDTH = 180, 320  # of the picture
FLOAT = 4  # bytes of a float32 number
NETWORKS = {
    "BSRN, BAM": {"name": "bsrn"},
    "SRResNet, BAM": {"name": "srresnet"},
    "SRResNet, ABC-Net": {"name": "srresnet", "binarizer": "abc"},
    "VDSR, BAM": {"name": "vdsr"},
    "`clean`": "clean",
    "`fast`": "fast",
}


BYTES = "bytes a weight, ours", "float", "times as small"
COLUMNS = (
    "G MACs", "of them binary", "ms, ours", "ms, PyTorch float", "times as fast", "weights, K", "of 1 bit",
    "MB as float32", "MB packed, on the disk", "times as small", "MB in memory",
)  # fmt: skip


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    add_json(parser)
    options = parser.parse_args()
    rounds = 2 if options.quick else 5
    show_lines()
    print(f"{cpu_name()}; kernel {chosen_kernel()}; one thread\n")
    tables: Figures = {"layers": [], "networks": []}
    for name, lines in (("layers", layers(rounds)), ("networks", networks(rounds))):
        for line in lines:  # each when it is known
            print(line)
            tables[name].append(line)
        print()
    record({name: "\n".join(lines) for name, lines in tables.items()}, options.json)


def titles(*words: str) -> str:
    """The first two lines of a table."""
    return f"| {' | '.join(words)} |\n|{'---|' * len(words)}"


def layers(rounds: int) -> Iterator[str]:
    """Of each kind: a multiply-accumulate's time, and a weight's bytes."""
    rates = measured_rates(SCALE)
    times = {f"binary 3x3, {n} to {n}": pair_of(n, rounds) for n in (48, 64)}
    yield titles("layer", "ms per G MACs, ours", "float, PyTorch", "times as fast", *BYTES)
    for name, (own, peer) in times.items():
        yield _row(name, own * 1e12, None if peer is None else peer * 1e12, 1 / 8, FLOAT)
    peer = times["binary 3x3, 48 to 48"][1]
    yield _row("binary 1x1, 48 to 48", rates.counts1 * 1e12, None if peer is None else one(rounds) * 1e12, 1 / 8, FLOAT)
    for name, own in (("float head", rates.head), ("float trunk", rates.trunk), ("float tail, composed", rates.tail)):
        yield _row(name, own * 1e12, None if peer is None else peer * 1e12, FLOAT, FLOAT)


def pair_of(channels: int, rounds: int) -> tuple[float, float | None]:
    """Seconds of a multiply-accumulate of a 3x3 convolution: by bits, and by floats in PyTorch."""
    ours = BinaryConvolution(channels, HEIGHT, WIDTH)
    steps: dict[str, Run] = {"ours": ours.way(chosen_kernel())}
    if "torch" in sys.modules or _has_torch():
        x = np.where(ours.negative[None], np.float32(-1), np.float32(1))
        found = torch_layouts([("conv", ours.signs.astype(np.float32), None)], x, 1)
        steps |= {f"torch/{layout}": run for layout, run in found.items()}
    seconds, _ = better_layouts(in_turn(steps, 2, rounds, 5))
    macs = 9 * channels**2 * HEIGHT * WIDTH
    return seconds["ours"] / macs, seconds["torch"] / macs if "torch" in seconds else None


def one(rounds: int) -> float:
    """Seconds of a multiply-accumulate of a 1x1 convolution of 48 channels, by floats in PyTorch."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 48, HEIGHT, WIDTH), (48, 48, 1, 1)))
    found = torch_layouts([("conv", w, None)], x, 1)
    seconds, _ = better_layouts(in_turn({f"torch/{layout}": run for layout, run in found.items()}, 2, rounds, 5))
    return seconds["torch"] / (48**2 * HEIGHT * WIDTH)


def _has_torch() -> bool:
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


def _row(name: str, own: float, peer: float | None, size: float, others: float) -> str:
    shown = "| - | - " if peer is None else f"| {peer:.2f} | {peer / own:.1f} "
    return f"| {name} | {own:.2f} {shown}| {size:g} | {others:g} | {others / size:g} |"


def networks(rounds: int) -> Iterator[str]:
    """Of each: operations, milliseconds, bytes on the disk and in memory."""
    yield titles("network", *COLUMNS)
    for name, chosen in NETWORKS.items():
        yield of_network(name, chosen, rounds)


def of_network(name: str, chosen: Any, rounds: int) -> str:
    """A line."""
    if isinstance(chosen, str):
        engine = choose_runner(chosen, SCALE, "packed")
    else:
        network = make_network({"scale": SCALE, **chosen})
        engine = Engine(lower(Model(network, network.init(0))))
    assert isinstance(engine, Engine)
    network = make_network(engine.plan.config)
    own, peer = times_of(engine, rounds)
    trace, counts = network.trace(HEIGHT, WIDTH), network.count_parameters(network.init(0))
    disk, floats = packed_size(engine), counts["total"] * FLOAT
    faster = ["-", "-"] if peer is None else [f"{peer * 1e3:.0f}", f"{peer / own:.1f}"]
    cells = [
        name, f"{trace.macs / 1e9:.1f}", f"{binary_share(network):.0%}", f"{own * 1e3:.0f}", *faster,
        f"{counts['total'] / 1e3:.0f}", f"{counts['binary'] / counts['total']:.0%}", f"{floats / 1e6:.2f}",
        f"{disk / 1e6:.2f}", f"{floats / disk:.1f}", f"{memory_of(engine) / 1e6:.2f}",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def times_of(engine: Engine, rounds: int) -> tuple[float, float | None]:
    """Seconds of a picture, ours and PyTorch's, in turn."""
    picture = picture_for(SCALE)
    steps: dict[str, Run] = {"ours": partial(npbsrn.upscale, picture, SCALE, engine, threads=1)}
    if _has_torch():
        found = FloatNetwork(dict(engine.plan.config), picture).peers(1)
        whole = [name for name in found if name.startswith(f"torch{COMPOSED}")]
        steps |= {f"torch/{name}": found[name] for name in whole or [n for n in found if n.startswith("torch")]}
    for run in steps.values():
        run()
    seconds = in_turn(steps, 0, rounds, 1)
    peers = [value for name, value in seconds.items() if name != "ours"]
    return seconds["ours"], min(peers, default=None)


def binary_share(network: Network) -> float:
    """Of the multiply-accumulates."""
    deeper = make_network({**network.config, "blocks": network.config["blocks"] + 1})
    a_block = deeper.trace(HEIGHT, WIDTH).macs - network.trace(HEIGHT, WIDTH).macs
    return network.config["blocks"] * a_block / network.trace(HEIGHT, WIDTH).macs


def packed_size(engine: Engine) -> int:
    """Bytes of the packed file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "packed.npz")
        save_packed(path, engine.plan)
        return path.stat().st_size


def memory_of(engine: Engine) -> int:
    """Bytes of all arrays that an engine holds, each once."""
    found: dict[int, int] = {}

    def walk(value: Any, depth: int) -> None:
        if isinstance(value, np.ndarray):
            base = value
            while isinstance(base.base, np.ndarray):
                base = base.base
            found[base.ctypes.data] = base.nbytes
        elif depth and isinstance(value, dict):
            for inner in value.values():
                walk(inner, depth - 1)
        elif depth and isinstance(value, list | tuple):
            for inner in value:
                walk(inner, depth - 1)
        elif depth and hasattr(value, "__dict__"):
            walk(vars(value), depth - 1)

    walk({name: value for name, value in vars(engine).items() if name != "plan"}, 6)
    return sum(found.values())


if __name__ == "__main__":
    main()
