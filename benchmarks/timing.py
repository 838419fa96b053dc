"""How the benchmarks take times, and on what."""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import quiet_blas

Figures = dict[str, Any]


def in_turn(steps: dict[str, Callable[[], Any]], warm: int, rounds: int, burst: int) -> dict[str, float]:
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


def show_lines() -> None:
    """Write each line when it is printed, to a file, too: a run takes minutes."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def rounded(figures: Figures) -> Figures:
    """As the JSON line has them."""
    return {key: _rounded(value) for key, value in figures.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(own) for key, own in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option of `record`."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures, with CPU and command")


def record(figures: Figures, path: Path | None) -> None:
    """Write a run's figures to a file, if there is one, beside the CPU, the kernel and the command that gave them.

    docs/make_performance.py writes docs/performance.md from such files.
    """
    if path is None:
        return
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    words = [word for word in sys.argv[1:] if word not in ("--json", str(path)) and not word.startswith("--json=")]
    command = f"python -m {shlex.join([spec.name if spec else Path(sys.argv[0]).stem, *words])}"
    whole = {"command": command, "cpu": cpu_name(), "kernel": chosen_kernel(), "figures": figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")
