"""How long a run of each preset takes, x4: its steps, times the seconds of a step on this CPU.

``python -m benchmarks.bench_presets [--rounds 5]``. The data are noise: pictures do not matter to speed. A step is
data, forward, loss, backward, Adam and average; validations and the first compilation come on top. Steps of the last
part of a run, whose patches may be larger, are timed by themselves. Figures are medians.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.timing import Figures, add_json, in_turn, record, rounded, show_lines
from benchmarks.train_steps import SCALE, Case, Ours, make_source
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import thread_count
from npbsrn.training.config import PRESETS, TrainConfig, make_config


def parts_of(config: TrainConfig) -> dict[int, int]:
    """How many steps there are of patches of each side."""
    late = sum(config.patch_at(step) != config.patch for step in range(config.steps))
    return {config.patch: config.steps - late} | ({config.late_patch: late} if late else {})


def seconds_of(config: TrainConfig, patch: int, folder: Path, rounds: int) -> float:
    """Of a step."""
    case = Case(config.batch, patch)
    ours = Ours(config, make_source(folder, patch), case)
    return in_turn({"step": ours.step}, 2, rounds, 1)["step"]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="steps that are timed of each kind")
    add_json(parser)
    options = parser.parse_args()
    show_lines()
    print(f"{cpu_name()}; {thread_count()} threads")
    figures: Figures = {"threads": thread_count()}
    for name in PRESETS:
        config, seconds = make_config(SCALE, name), {}
        for patch, steps in parts_of(config).items():
            with tempfile.TemporaryDirectory() as folder:
                seconds[steps, patch] = seconds_of(config, patch, Path(folder), options.rounds)
        hours = sum(steps * own for (steps, _), own in seconds.items()) / 3600
        parts = ", ".join(
            f"{steps} of {config.batch} x {patch}x{patch}: {own:.3f} s" for (steps, patch), own in seconds.items()
        )
        print(f"    {name:10} {config.network['name']:5} {hours:8.2f} hours   steps: {parts}")
        figures[name] = {
            "network": config.network["name"], "batch": config.batch, "hours": round(hours, 3),
            "parts": [{"steps": n, "patch": patch, "step_s": round(s, 4)} for (n, patch), s in seconds.items()],
        }  # fmt: skip
    record(rounded(figures), options.json)


if __name__ == "__main__":
    main()
