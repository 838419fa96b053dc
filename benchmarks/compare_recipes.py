"""Which recipe trains BSRN x4 best in the same minutes, judged on held-out pictures of the training folder.

``python -m benchmarks.compare_recipes --calibrate`` times a step of every trial in turn with the baseline's and writes
the ratios to a file. ``--run NAME ... --data DIR`` then gives each trial as many steps as take the time of ``--steps``
steps of the baseline. So a run's length is fixed whatever else the machine does meanwhile, and a run can be repeated.
Rows that the results hold already are skipped. ``--table`` prints them. With ``NPBSRN_NUM_THREADS=1`` all is done on
one core.
"""

import argparse
import csv
import dataclasses
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import npbsrn
from benchmarks.timing import in_turn
from benchmarks.train_steps import make_source
from npbsrn.errors import TrainingDivergedError, UsageError
from npbsrn.models import load
from npbsrn.networks.base import make_network
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import thread_count
from npbsrn.shipped import latent_weights
from npbsrn.training.config import TrainConfig, make_config
from npbsrn.training.data import PatchSource
from npbsrn.training.step import first_state, train_step

Row = dict[str, Any]

SCALE = 4
TEACHER = Path(npbsrn.__file__).parents[1] / latent_weights("bsrn", 4)  # as long in training as forty trials
BASELINE = {"clip": 0.05, "warmup": 50}  # the preset "default" but for a clipped gradient and a short run's warm-up
TRIALS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "rate-1.5e-3": {"rate": 1.5e-3},
    "rate-6e-3": {"rate": 6e-3},
    "binary-rate-0.3": {"binary_rate": 0.3},
    "binary-rate-3": {"binary_rate": 3.0},
    "multistep": {"schedule": "multistep"},
    "2-patches-of-32": {"batch": 2, "patch": 32},
    "8-patches-of-32": {"patch": 32},
    "late-32": {"late_patch": 32, "late_from": 0.5},
    "batch-4": {"batch": 4},
    "batch-16": {"batch": 16},
    "blocks-3": {"blocks": 3},
    "blocks-6": {"blocks": 6},
    "blocks-10": {"blocks": 10},
    "base-none": {"base": "none"},
    "residual-0.1": {"residual": 0.1},
    "residual-0.01": {"residual": 0.01},
    "tail-plain": {"tail": "plain"},
    "alpha-one": {"binarizer": {"alpha": "one"}},
    "beta-one": {"binarizer": {"beta": "one"}},
    "filters-alone": {"binarizer": {"accumulate_filters": False}},
    "filter-ste-clip": {"binarizer": {"filter_ste": "clip"}},
    "filter-ste-bireal": {"binarizer": {"filter_ste": "bireal"}},
    "padding-zero": {"binarizer": {"padding": "zero"}},
    "input-gain-2": {"input_gain": 2.0},
    "input-gain-255": {"input_gain": 255.0},
    "weight-decay-2e-4": {"weight_decay": 2e-4},
    "clip-0": {"clip": 0.0},
    "warmup-200": {"warmup": 200},
    "beta2-0.99": {"beta2": 0.99},
    "ema-0": {"ema": 0.0},
    "ema-0.98": {"ema": 0.98},
    "beta1-0.5": {"beta1": 0.5},
    "activation-none": {"activation": "none"},
    "statistic-mean": {"binarizer": {"statistic": "mean"}},
    "statistic-none": {"binarizer": {"statistic": "none"}},
    "activation-ste-identity": {"binarizer": {"activation_ste": "identity"}},
    "activation-ste-bireal": {"binarizer": {"activation_ste": "bireal"}},
    "activations-alone": {"binarizer": {"accumulate_activations": False}},
    "skip-every": {"skip": "every"},
    "none-bireal": {"binarizer": {"statistic": "none", "activation_ste": "bireal"}},
    "none-bireal-no-activation": {
        "binarizer": {"statistic": "none", "activation_ste": "bireal"},
        "activation": "none",
    },
    "none-bireal-no-activation-rate-1e-3-binary-rate-3": {
        "binarizer": {"statistic": "none", "activation_ste": "bireal"},
        "activation": "none",
        "rate": 1e-3,
        "binary_rate": 3.0,
    },
    "none-bireal-blocks-6": {"binarizer": {"statistic": "none", "activation_ste": "bireal"}, "blocks": 6},
    "none-bireal-late-32": {
        "binarizer": {"statistic": "none", "activation_ste": "bireal"},
        "late_patch": 32,
        "late_from": 0.5,
    },
    "float": {"binarizer": "none"},
    "float-residual-0.3": {"binarizer": "none", "residual": 0.3},
    "float-first": {},
    "float-first-rate-1.5e-3": {"rate": 1.5e-3},
    "blocks-6-first": {},
    "blocks-10-first": {},
    "distill-0.5": {"teacher": TEACHER, "distill": 0.5},
    "distill-1": {"teacher": TEACHER, "distill": 1.0},
}
# Trials that begin with another trial's weights: which, and its share of the budget.
BEGINNINGS = {
    "float-first": ("float", 0.5),
    "float-first-rate-1.5e-3": ("float", 0.3),
    "blocks-6-first": ("blocks-6", 0.5),
    "blocks-10-first": ("blocks-10", 0.5),
}
# What a step's time does not depend on: trials that differ in these alone share one measurement.
FREE = (
    "clip", "warmup", "rate", "binary_rate", "schedule", "halve_every", "milestones", "gamma", "beta1", "beta2",
    "weight_decay", "ema",
)  # fmt: skip
FREE_OF_NETWORK = ("residual", "input_gain")
COLUMNS = ("trial", "seed", "equal", "budget", "steps", "cost", "psnr", "ssim", "loss", "minutes", "threads", "cpu")
KEY = ("trial", "seed", "equal", "budget")


def configure(name: str) -> TrainConfig:
    """Configuration of a trial."""
    wanted = BASELINE | TRIALS[name]
    wanted.pop("teacher", None)  # the share of which in the loss says whether there is one
    return make_config(SCALE, "default", wanted)


def parts(config: TrainConfig) -> list[tuple[float, TrainConfig]]:
    """What a run's time is made of: shares of its steps, and configurations with the patches of these steps."""
    if not config.late_patch:
        return [(1.0, config)]
    late = dataclasses.replace(config, patch=config.late_patch, late_patch=0)
    return [(config.late_from, dataclasses.replace(config, late_patch=0)), (1 - config.late_from, late)]


def work(config: TrainConfig) -> str:
    """What a step's time depends on, as a name."""
    fields = dataclasses.asdict(config)
    network = {name: value for name, value in fields.pop("network").items() if name not in FREE_OF_NETWORK}
    return json.dumps({name: value for name, value in fields.items() if name not in FREE} | network, sort_keys=True)


def stepper(config: TrainConfig, source: PatchSource) -> Callable[[], None]:
    """A whole step, its data included."""
    network, teacher = make_network(config.network), load(TEACHER) if config.distill else None
    state = first_state(network, config.seed)

    def step() -> None:
        nonlocal state
        x, y = source.batch(config.seed, state.step, config.batch, config.patch)
        state, _ = train_step(state, network, config, x, y, teacher)

    return step


def calibrate(names: Sequence[str], rounds: int, burst: int) -> dict[str, float]:
    """Seconds of a trial's step over those of the baseline's: medians of steps in turn, on pictures of noise."""
    needed = {name: parts(configure(name)) for name in ("baseline", *names)}
    kinds = {work(config): config for each in needed.values() for _, config in each}
    with tempfile.TemporaryDirectory() as folder:
        source = make_source(Path(folder), max(config.patch for config in kinds.values()))
        steps = {kind: stepper(config, source) for kind, config in kinds.items()}
        seconds = in_turn(steps, 2, rounds, burst)
    mean = {name: sum(share * seconds[work(config)] for share, config in each) for name, each in needed.items()}
    print(f"a step of the baseline takes {mean['baseline']:.4f} s with {thread_count()} threads on {cpu_name()}")
    return {name: round(value / mean["baseline"], 3) for name, value in mean.items()}


def read_rows(path: Path) -> list[Row]:
    """The results so far."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def add_row(path: Path, row: Row) -> None:
    """Add one result."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def stages(name: str, budget: int, costs: dict[str, float]) -> list[tuple[str, int]]:
    """The runs that a trial is made of, each begun with the weights of the one before, and their steps."""
    first, share = BEGINNINGS.get(name, ("", 0.0))
    each = [(first, share * budget)] if first else []
    each.append((name, (1 - share) * budget))
    return [(trial, max(1, round(steps / costs.get(trial, 1.0)))) for trial, steps in each]


def run(each: Sequence[tuple[str, int]], seed: int, data: Path) -> Row:
    """Train the stages of one trial; the figures of the last, empty if one diverged."""
    minutes, init = 0.0, None
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, steps) in enumerate(each):
            output = Path(folder) / str(number)
            options = BASELINE | TRIALS[name] | {"steps": steps, "checkpoint_every": steps}
            options["seed"] = seed + 1000 * number  # no stage sees the patches of the one before in the same order
            options["validate_every"] = max(1, steps - steps // 10)  # so that the last loss is that of the last tenth
            try:
                npbsrn.train(data, SCALE, output, init=init, progress=False, **options)
            except TrainingDivergedError as error:
                print(f"{name}, seed {seed}: {error}")
                return {}
            last = read_rows(output / "metrics.csv")[-1]
            minutes, init = minutes + float(last["seconds"]) / 60, output
    return {figure: last[figure] for figure in ("psnr", "ssim", "loss")} | {"minutes": round(minutes, 2)}


def run_all(arguments: argparse.Namespace) -> None:
    """Train what the results lack."""
    costs = {} if arguments.equal_steps else json.loads(arguments.costs.read_text())
    equal = "steps" if arguments.equal_steps else "minutes"
    for seed in arguments.seeds:
        for name in arguments.run:
            each = stages(name, arguments.steps, costs)
            unknown = [trial for trial, _ in each if equal == "minutes" and trial not in costs]
            if unknown:
                raise UsageError(f"{arguments.costs} lacks {unknown[0]}; run --calibrate {unknown[0]} first")
            key = {"trial": name, "seed": seed, "equal": equal, "budget": arguments.steps}
            if any(all(row[column] == str(key[column]) for column in KEY) for row in read_rows(arguments.out)):
                continue
            figures = run(each, seed, arguments.data)
            steps, cost = each[-1][1], costs.get(name, 1.0)
            machine = {"threads": thread_count(), "cpu": cpu_name()}
            add_row(arguments.out, key | {"steps": steps, "cost": cost} | figures | machine)
            print(f"{name}, seed {seed}, {steps} steps: {figures.get('psnr', 'diverged')} dB", flush=True)


def tables(rows: Sequence[Row]) -> str:
    """Markdown tables: one for each way of comparing, that is equal minutes or steps and how many."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["equal"], row["budget"]), []).append(row)
    return "\n\n".join(table(f"equal {equal}, {budget} steps", group) for (equal, budget), group in groups.items())


def table(title: str, rows: Sequence[Row]) -> str:
    """One table, best first; differences are to the baseline's runs of the same seeds."""
    psnr: dict[str, dict[str, float]] = {}
    for row in rows:
        psnr.setdefault(row["trial"], {})[row["seed"]] = float(row["psnr"] or "nan")
    base = psnr.get("baseline", {})
    lines = []
    for name, own in psnr.items():
        difference = float(np.mean([own[seed] - base[seed] for seed in own if seed in base] or [np.nan]))
        mine = [row for row in rows if row["trial"] == name]
        mean, ssim, loss = (np.mean([float(row[c] or "nan") for row in mine]) for c in ("psnr", "ssim", "loss"))
        spread = f"{max(own.values()) - min(own.values()):.3f}" if len(own) > 1 else ""
        words = f"| {name} | {mine[0]['steps']} | {mean:.3f} | {difference:+.3f} | {spread} | {len(own)} "
        lines.append((difference, words + f"| {ssim:.4f} | {loss:.5f} |"))
    head = [f"| {title} | steps | PSNR, dB | to baseline | spread | seeds | SSIM | loss |", "|" + "---|" * 8]
    return "\n".join(head + [line for _, line in sorted(lines, key=lambda item: -np.nan_to_num(item[0], nan=-99))])


def main() -> None:
    """Calibrate, run, or print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--calibrate", nargs="*", metavar="NAME", choices=[[], *TRIALS], help="by default all trials")
    what.add_argument("--run", nargs="+", metavar="NAME", choices=TRIALS)
    what.add_argument("--table", action="store_true")
    parser.add_argument("--data", type=Path, help="folder of pictures to train on")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=1000, help="steps of the baseline that the budget is made of")
    parser.add_argument("--equal-steps", action="store_true", help="give each trial that many, whatever they cost")
    parser.add_argument("--out", type=Path, default=Path("results.csv"))
    parser.add_argument("--costs", type=Path, default=Path("costs.json"))
    parser.add_argument("--rounds", type=int, default=6, help="of --calibrate")
    parser.add_argument("--burst", type=int, default=3, help="timed steps of each trial in a round")
    arguments = parser.parse_args()
    if arguments.table:
        print(tables(read_rows(arguments.out)))
    elif arguments.run:
        if arguments.data is None:
            parser.error("--run needs --data")
        run_all(arguments)
    else:
        costs = calibrate(arguments.calibrate or list(TRIALS), arguments.rounds, arguments.burst)
        known = json.loads(arguments.costs.read_text()) if arguments.costs.exists() else {}
        arguments.costs.write_text(json.dumps(known | costs, indent=1) + "\n")


if __name__ == "__main__":
    main()
