"""Time a training step of BSRN x4 with BAM against PyTorch eager float32, on the same cores, in one run.

``python -m benchmarks.bench_train [--quick]``, after ``pip install '.[peers]'``. The data are noise: pictures do not
matter to speed. Steps of ours and of PyTorch are timed in turn, PyTorch's from its third on; figures are medians. The
last line is JSON.
"""

import argparse
import dataclasses
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.torch_bsrn import TorchBsrn
from npbsrn.datasets import find_pairs
from npbsrn.networks import make_network
from npbsrn.threads import quiet_blas, thread_count
from npbsrn.training.config import TrainConfig
from npbsrn.training.data import PatchSource
from npbsrn.training.step import first_state, train_step

CASES = {"16": (8, 16), "48": (16, 48)}  # batch, side of a patch


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
        self.data_seconds = 0.0

    def step(self) -> None:
        """Data, forward, loss, backward, Adam, average."""
        start = time.perf_counter()
        x, y = self.source.batch(0, self.state.step, self.config.batch, self.config.patch)
        self.data_seconds += time.perf_counter() - start
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


def in_turn(steps: dict[str, Callable[[], None]], warm: int, rounds: int) -> dict[str, float]:
    """Median seconds of each, taken in turn behind `warm` untimed rounds."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(warm + rounds):
        for name, step in steps.items():
            time.sleep(0.1)  # until the other's helper threads have left their busy loops
            with quiet_blas():  # as the training loop has it; PyTorch has a BLAS of its own
                start = time.perf_counter()
                step()
                seconds = time.perf_counter() - start
            if number >= warm:
                times[name].append(seconds)
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
    with tempfile.TemporaryDirectory() as folder:
        for name, (batch, patch) in CASES.items():
            source = make_source(Path(folder), patch)
            config = dataclasses.replace(TrainConfig(), network=make_network({"scale": 4}).config)
            config = dataclasses.replace(config, batch=batch, patch=patch)
            ours, peer = Ours(config, source), Peer(config, source)
            rounds = (5 if quick else 15) if name == "16" else (2 if quick else 5)
            seconds = in_turn({"ours": ours.step, "torch": peer.step}, 2, rounds)
            ratio = seconds["torch"] / seconds["ours"]
            times = f"ours {seconds['ours']:.4f} s, PyTorch {seconds['torch']:.3f} s"
            print(f"{batch} patches of {patch}x{patch}: {times}, {ratio:.2f}x")
            figures[f"step_{name}_s"], figures[f"step_over_torch_{name}"] = seconds["ours"], ratio
            if name == "16":
                figures["data_share"] = ours.data_seconds / ours.state.step / seconds["ours"]
    print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in figures.items()}))


if __name__ == "__main__":
    main()
