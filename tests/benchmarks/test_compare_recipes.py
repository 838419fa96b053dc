"""The comparison of recipes: what each trial gets, and what is made of its results."""

import argparse
import dataclasses

import pytest

import npbsrn
from benchmarks import compare_recipes
from benchmarks.compare_recipes import (
    BASELINE,
    BEGINNINGS,
    TRIALS,
    calibrate,
    configure,
    parts,
    read_rows,
    run_all,
    stages,
    stepper,
    tables,
    work,
)
from npbsrn.datasets.pairs import find_pairs
from npbsrn.errors import TrainingDivergedError, UsageError
from npbsrn.training.data import PatchSource


@pytest.fixture
def trained(monkeypatch):
    """Put a run that only writes its figures in the place of `npbsrn.train`; returns the options of all runs."""
    runs = []

    def train(data, scale, output, init=None, progress=True, **options):
        runs.append({"output": output, "init": init, **options})
        if options.get("rate") == 6e-3:
            raise TrainingDivergedError("diverged")
        output.mkdir()
        psnr = 25 + options["seed"] / 10 + (options.get("batch") == 4)
        (output / "metrics.csv").write_text(f"step,loss,psnr,ssim,seconds\n1,9,9,9,9\n2,0.5,{psnr},0.7,60\n")

    monkeypatch.setattr(npbsrn, "train", train)
    return runs


def arguments(tmp_path, *names, seeds=(0,), steps=100, equal_steps=False):
    (tmp_path / "costs.json").write_text('{"baseline": 1.0, "batch-4": 0.5, "rate-6e-3": 1.0, "float-first": 1.0}')
    return argparse.Namespace(
        run=names, seeds=seeds, steps=steps, equal_steps=equal_steps, data=tmp_path,
        out=tmp_path / "results.csv", costs=tmp_path / "costs.json",
    )  # fmt: skip


@pytest.mark.parametrize("name", TRIALS)
def test_every_trial_is_a_configuration_that_differs(name):
    config = configure(name)
    assert config.clip == TRIALS[name].get("clip", BASELINE["clip"])
    assert (config == configure("baseline")) == (name == "baseline" or (name in BEGINNINGS and not TRIALS[name]))


def test_trials_of_equal_work_share_a_measurement():
    assert work(configure("rate-6e-3")) == work(configure("residual-0.1")) == work(configure("baseline"))
    assert len({work(configure(name)) for name in ("baseline", "batch-4", "blocks-3", "alpha-one", "tail-plain")}) == 5
    (early, small), (late, large) = parts(configure("late-32"))
    assert (early, late, small.patch, large.patch) == (0.5, 0.5, 16, 32)
    assert work(small) == work(configure("baseline"))
    assert work(large) == work(configure("8-patches-of-32"))


def test_cheaper_steps_are_more_steps_and_stages_share_the_budget():
    assert stages("batch-4", 100, {"batch-4": 0.5}) == [("batch-4", 200)]
    assert stages("float-first", 100, {"float": 0.25, "float-first": 1.0}) == [("float", 200), ("float-first", 50)]


def test_calibration_compares_with_the_baseline(monkeypatch):
    times = {"baseline": 2.0, "batch-4": 1.0, "8-patches-of-32": 8.0}
    seconds = {work(configure(name)): time for name, time in times.items()}
    monkeypatch.setattr(compare_recipes, "stepper", lambda *_: None)
    monkeypatch.setattr(compare_recipes, "make_source", lambda *_: None)
    monkeypatch.setattr(compare_recipes, "in_turn", lambda steps, *_: {kind: seconds[kind] for kind in steps})
    costs = calibrate(["batch-4", "rate-6e-3", "late-32"], 1, 1)
    assert costs == {"baseline": 1.0, "batch-4": 0.5, "rate-6e-3": 1.0, "late-32": 2.5}


def test_a_timed_step_has_its_teacher(monkeypatch, photographs, tmp_path):
    calls = []

    def step(state, *rest):
        calls.append(rest)
        return state, 0.0

    monkeypatch.setattr(compare_recipes, "train_step", step)
    for name in ("distill-1", "baseline"):
        config = dataclasses.replace(configure(name), patch=6)
        stepper(config, PatchSource(find_pairs(photographs, 4), 4, 6, tmp_path / "cache"))()
    (*_, x, y, teacher), (*_, none) = calls
    assert (x.shape, y.shape) == ((8, 3, 6, 6), (8, 3, 24, 24))
    assert teacher.scale == 4
    assert none is None


def test_results_that_are_there_are_kept(trained, tmp_path):
    run_all(arguments(tmp_path, "baseline", "batch-4"))
    run_all(arguments(tmp_path, "baseline", "batch-4", seeds=(0, 1)))
    run_all(arguments(tmp_path, "batch-4", equal_steps=True))
    assert [(run["seed"], run["steps"]) for run in trained] == [(0, 100), (0, 200), (1, 100), (1, 200), (0, 100)]
    rows = read_rows(tmp_path / "results.csv")
    assert [(row["trial"], row["equal"], row["psnr"]) for row in rows[::2]] == [
        ("baseline", "minutes", "25.0"),
        ("baseline", "minutes", "25.1"),
        ("batch-4", "steps", "26.0"),
    ]
    words = tables(rows)
    assert "| batch-4 | 200 | 26.050 | +1.000 | 0.100 | 2 | 0.7000 | 0.50000 |" in words
    assert words.index("| batch-4") < words.index("| baseline") < words.index("equal steps, 100 steps")


def test_a_run_that_diverges_is_a_result(trained, tmp_path):
    run_all(arguments(tmp_path, "rate-6e-3", "baseline"))
    assert [row["psnr"] for row in read_rows(tmp_path / "results.csv")] == ["", "25.0"]
    assert tables(read_rows(tmp_path / "results.csv")).splitlines()[-1].startswith("| rate-6e-3 | 100 | nan |")


def test_a_trial_can_begin_with_the_weights_of_another(trained, tmp_path):
    with pytest.raises(UsageError, match=r"lacks float; run --calibrate float first"):
        run_all(arguments(tmp_path, "float-first"))
    run_all(arguments(tmp_path, "float-first", equal_steps=True))
    first, second = trained
    assert first["binarizer"] == "none"
    assert (first["init"], second["init"]) == (None, first["output"])
    assert first["seed"] != second["seed"]
    assert read_rows(tmp_path / "results.csv")[0]["minutes"] == "2.0"
