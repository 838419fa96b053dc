"""Train networks by PyTorch, on a GPU where there is one: `bbcu` quickly, all others plainly.

``python -m training.gpu.train PICTURES JOBS.json OUT``, from the repository's root. JOBS.json is a list of jobs, and of
lists of jobs. Each entry runs in a process of its own. The jobs of an inner list run in one process, `SIDE_BY_SIDE` at
a time and in turn; where one fails, all end. It saves memory and processes, but hardly time: on an H200 a step of
SRResNet took 10 ms alone, and one of sixteen jobs 15 ms beside a second process.

    {"name": "x4", "scale": 4, "preset": "best", "options": {"steps": 100000},
     "folders": ["train"], "held": ["held"], "seconds": 0, "init": "other.npz", "variants": 3}

`options` are those of `npbsrn train`; a ``row`` of the paper's tables, such as "srresnet-bam", brings its own, and the
preset "default" (see `training.gpu.to_row`). `folders` and `held` lie in PICTURES; `seconds` ends the run, and its
schedule, after some time instead of some steps; `init` is a file in OUT; `variants` of each picture are degraded where
the option ``degrade`` is set. OUT/NAME.npz has the averaged weights, OUT/NAME.best.npz the best of them, OUT/NAME.csv
step, loss, PSNR and seconds, and OUT/NAME.state.npz and OUT/NAME.card.json the whole state at the end, and what it is
(see `training.gpu.to_checkpoint`).
"""

import dataclasses
import functools
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from npbsrn.networks.base import make_network
from npbsrn.reproduction.tables import ROWS
from npbsrn.training.config import TrainConfig, make_config
from training.gpu.pictures import Pictures, batch, load_held, load_pictures, planes, psnr
from training.gpu.step import Training

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
READERS = 4  # processes that read pictures
SIDE_BY_SIDE = 16  # jobs of one process at a time
AHEAD = 20  # steps between two looks at the clock, and that are sent to the device before it is waited for

_loaded: dict[Any, Any] = {}  # jobs of one process share pictures on the device


def loaded(places: list[Path], held: list[Path], config: TrainConfig, variants: int) -> tuple[Pictures, Any]:
    """Training pictures and held-out ones of some folders, as a job wants them."""
    key = (tuple(places), tuple(held), config.scale, config.patch, config.keep, config.degrade, variants)
    if key not in _loaded:
        with multiprocessing.get_context("spawn").Pool(READERS) as pool:
            every = functools.partial(pool.imap, chunksize=2)
            _loaded[key] = load_pictures(places, config, variants, DEVICE, every), load_held(held, config, DEVICE)
    return _loaded[key]  # type: ignore[no-any-return]


class Job:
    """One run.

    Parameters
    ----------
    spec : dict
        An entry of JOBS.json.
    folder, out : path
    """

    def __init__(self, spec: dict[str, Any], folder: Path, out: Path) -> None:
        self.spec, self.name, self.out = spec, spec["name"], out
        self.seconds = spec.get("seconds", 0)
        options = (ROWS[spec["row"]].options() if "row" in spec else {}) | spec.get("options", {})
        config = make_config(spec["scale"], spec.get("preset", "default" if "row" in spec else "best"), options)
        self.config, places = config, [folder / name for name in spec.get("folders", ["train"])]
        held = [folder / name for name in spec.get("held", ["held"])]
        self.pictures, self.held = loaded(places, held, config, spec.get("variants", 1))
        init = dict(np.load(out / spec["init"])) if spec.get("init") else {}
        cuda = DEVICE == "cuda"
        self.stream = torch.cuda.Stream() if cuda else None
        # the quick program's float convolutions are rounded to TensorFloat-32, those of all others are not
        torch.backends.cudnn.allow_tf32 = config.network["name"] == "bbcu"
        self.training = Training(make_network(config.network), config, init, DEVICE, half=cuda, compiled=cuda)
        self.go = self.captured()
        self.best = float("-inf")

    def one(self) -> None:
        """One step."""
        x, y = batch(*self.pictures.tensors(), self.training.step, self.pictures.scale, self.config)
        self.training.one(x, y, bool(self.seconds))

    def captured(self) -> Callable[[], None]:
        """A step as a graph that the device runs without Python, where there is a device."""
        if self.stream is None:
            return self.one
        before = [tensor.detach().clone() for tensor in self.training.tensors()]
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            for _ in range(3):  # compiles
                self.one()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.one()
        with torch.no_grad():
            for tensor, value in zip(self.training.tensors(), before, strict=True):
                tensor.copy_(value)
        torch.cuda.synchronize()
        return graph.replay

    def run(self) -> Iterator[None]:
        """All steps, or as many as the time allows; stops before every few, while the device is at work on the last."""
        began, n, judged, ended = time.time(), 0, 0, False
        while not ended:
            yield
            if self.stream is not None:
                self.stream.synchronize()  # so that the clock says how far the steps are
            if self.seconds:
                share = min(1.0, (time.time() - began) / self.seconds)
                self.training.done.fill_(share)
                ended = share >= 1.0
            with torch.cuda.stream(self.stream):
                for _ in range(1 if ended else AHEAD):
                    self.go()
                    n += 1
                    ended = ended or (not self.seconds and n == self.config.steps)
                    if ended or n % self.config.validate_every == 0:
                        self.judge(n, n - judged, time.time() - began)
                        judged = n
                    if ended:
                        break
        self.save_state(n, time.time() - began)

    @torch.no_grad()
    def judge(self, step: int, count: int, seconds: float) -> None:
        """Write a line of figures and the averaged weights; keep the best."""
        loss = float(self.training.loss) / count
        self.training.loss.zero_()
        if not np.isfinite(loss):
            raise ArithmeticError(f"the loss of {self.name} is not finite at step {step}")
        scale, rounded, torch.backends.cudnn.allow_tf32 = self.config.scale, torch.backends.cudnn.allow_tf32, False
        figures = {
            name: float(
                torch.stack(
                    [psnr(self.training.enlarge(planes(low)[None])[0], high, scale) for low, high in pairs]
                ).mean()
            )
            for name, pairs in self.held.items()
        }
        torch.backends.cudnn.allow_tf32 = rounded
        words = [str(step), f"{loss:.6f}", *(f"{value:.4f}" for value in figures.values()), f"{seconds:.1f}"]
        with (self.out / f"{self.name}.csv").open("a") as file:
            file.write(",".join(words) + "\n")
        print(self.name, *words, flush=True)
        self.figures = figures
        self.save(self.name)
        if sum(figures.values()) > self.best:
            self.best = sum(figures.values())
            self.save(f"{self.name}.best")

    def save(self, name: str) -> None:
        """Write the averaged weights."""
        arrays = self.training.arrays()
        own = {key.removeprefix("average."): a for key, a in arrays.items() if key.startswith("average.")}
        np.savez(self.out / f"{name}.npz", **own)

    def save_state(self, step: int, seconds: float) -> None:
        """Write the whole state, and what it is."""
        np.savez(self.out / f"{self.name}.state.npz", **self.training.arrays())
        config = dataclasses.asdict(self.config)
        card = {"step": step, "seconds": seconds, "figures": self.figures, "spec": self.spec, "train": config}
        card["device"] = torch.cuda.get_device_name() if self.stream is not None else "CPU"
        (self.out / f"{self.name}.card.json").write_text(json.dumps(card, indent=1) + "\n")


def run_jobs(specs: list[dict[str, Any]], folder: Path, out: Path) -> None:
    """Jobs of one process, from their pictures to their states, in turn by some steps each."""
    if DEVICE == "cuda":
        torch.backends.cudnn.benchmark = True
        torch._dynamo.config.cache_size_limit = 256
    waiting, runs = list(specs), list[Iterator[None]]()
    while waiting or runs:
        while waiting and len(runs) < SIDE_BY_SIDE:
            runs.append(Job(waiting.pop(0), folder, out).run())
        runs = [run for run in runs if next(run, True) is None]


def main() -> None:
    """All entries at once."""
    folder, jobs, out = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    start = multiprocessing.get_context("spawn").Process
    entries = [entry if isinstance(entry, list) else [entry] for entry in jobs]
    processes = [start(target=run_jobs, args=(entry, folder, out)) for entry in entries]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    sys.exit(any(process.exitcode for process in processes))


if __name__ == "__main__":
    main()
