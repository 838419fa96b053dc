"""Time a training step of BSRN x4 with BAM against PyTorch eager float32, on the same cores, in one run.

``python -m benchmarks.bench_train [--quick]``, after ``pip install '.[peers]'``. The data are noise: pictures do not
matter to speed. Steps of ours and of PyTorch are timed in turn, PyTorch's from its third on; figures are medians. Then
our step is split into its parts, each held against what the CPU can do at most. The last line is JSON.
"""

import argparse
import dataclasses
import json
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.ceilings import measure_ceilings
from benchmarks.step_table import FOOTNOTE, print_ceilings, print_parts
from benchmarks.torch_bsrn import TorchBsrn
from npbsrn.datasets.pairs import find_pairs
from npbsrn.networks.base import make_network
from npbsrn.runtime.threads import quiet_blas, thread_count
from npbsrn.training.config import TrainConfig
from npbsrn.training.data import PatchSource
from npbsrn.training.step import first_state, train_step

CASES = {"48": (16, 48), "16": (8, 16)}  # batch, side of a patch; the larger first, for its memory


def cpu_name() -> str:
    """Name of the CPU, and which vector instructions it has."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")] or [platform.processor()]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return f"{names[0]} ({', '.join(f for f in ('avx2', 'avx512f', 'avx512_bitalg') if f in flags)})"


class Ours:
    """npbsrn's own step on patches of its own source."""

    def __init__(self, config: TrainConfig, source: PatchSource) -> None:
        self.config, self.source = config, source
        self.network = make_network(config.network)
        self.state = first_state(self.network, 0)
        self.data_seconds: list[float] = []
        self.data_bytes = 0.0  # of a step: each value is read as a byte and written as a float32

    def step(self) -> None:
        """Data, forward, loss, backward, Adam, average."""
        start = time.perf_counter()
        x, y = self.source.batch(0, self.state.step, self.config.batch, self.config.patch)
        self.data_seconds.append(time.perf_counter() - start)
        self.data_bytes = 5 / 4 * (x.nbytes + y.nbytes)
        self.state, _ = train_step(self.state, self.network, self.config, x, y)


class Peer:
    """The same step in PyTorch."""

    def __init__(self, config: TrainConfig, source: PatchSource) -> None:
        import torch

        torch.set_num_threads(thread_count())
        self.torch, self.config, self.source, self.count = torch, config, source, 0
        params = first_state(make_network(config.network), 0).params
        tensors = {n: torch.tensor(a, requires_grad=True) for n, a in params.items() if ".running_" not in n}
        self.tensors = tensors
        self.average = {n: t.detach().clone() for n, t in tensors.items()}
        self.network = TorchBsrn(torch, config.network, tensors)
        self.optimizer = torch.optim.Adam(tensors.values(), lr=1e-3, foreach=True)

    def step(self) -> None:
        """Data, forward, loss, backward, Adam, average."""
        x, y = self.source.batch(0, self.count, self.config.batch, self.config.patch)
        loss = (self.network(self.torch.from_numpy(x)) - self.torch.from_numpy(y)).abs().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with self.torch.no_grad():
            self.torch._foreach_lerp_(list(self.average.values()), list(self.tensors.values()), 1e-3)
        self.count += 1


def in_turn(steps: dict[str, Callable[[], None]], warm: int, rounds: int, burst: int) -> dict[str, float]:
    """Median seconds of each, in turn: `rounds` times `burst` timed steps, behind `warm` untimed ones at the start.

    Short steps go in bursts behind an untimed one, as in training, where the caches hold the last step's memory and not
    another program's.
    """
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds):
        for name, step in steps.items():
            time.sleep(0.1)  # until the other's helper threads have left their busy loops
            with quiet_blas():  # as the training loop has it; PyTorch has a BLAS of its own
                for _ in range(warm if number == 0 else int(burst > 1)):
                    step()
                for _ in range(burst):
                    start = time.perf_counter()
                    step()
                    times[name].append(time.perf_counter() - start)
    return {name: float(np.median(t)) for name, t in times.items()}


def make_source(folder: Path, patch: int) -> PatchSource:
    """A source of patches from pictures of noise."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    for n in range(8):
        noise = np.random.default_rng(n).integers(0, 256, (400, 480, 3), np.uint8)
        Image.fromarray(noise).save(pictures / f"{n}.png")
    return PatchSource(find_pairs(pictures, 4), 4, patch, folder / "cache")


def main() -> None:
    """Print a table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds; under two minutes")
    quick = parser.parse_args().quick
    figures: dict[str, Any] = {"threads": thread_count(), "cpu": cpu_name()}
    print(FOOTNOTE)
    with tempfile.TemporaryDirectory() as folder:
        for name, (batch, patch) in CASES.items():
            source = make_source(Path(folder), patch)
            config = dataclasses.replace(TrainConfig(), network=make_network({"scale": 4}).config)
            config = dataclasses.replace(config, batch=batch, patch=patch)
            ours = Ours(config, source)
            if name == "48":
                with quiet_blas():
                    ours.step()
                figures["memory_48_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            peer = Peer(config, source)
            rounds, burst = (3 if quick else 8, 6) if name == "16" else (2 if quick else 4, 2)
            seconds = in_turn({"ours": ours.step, "torch": peer.step}, 2, rounds, burst)
            ratio = seconds["torch"] / seconds["ours"]
            times = f"ours {seconds['ours']:.4f} s, PyTorch {seconds['torch']:.3f} s"
            print(f"{batch} patches of {patch}x{patch}: {times}, {ratio:.2f}x")
            share = float(np.mean(ours.data_seconds)) / seconds["ours"]
            ceilings = measure_ceilings()  # beside each table: what memory gives is not the same at all times
            print_ceilings(ceilings, figures["threads"])
            print_parts(ours, 21 if name == "16" else 5, ceilings)
            figures[f"step_{name}_s"], figures[f"step_over_torch_{name}"] = seconds["ours"], ratio
            if name == "16":
                figures["data_share"] = share
    print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in figures.items()}))


if __name__ == "__main__":
    main()
