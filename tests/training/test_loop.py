import csv
import json
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.errors import TrainingDivergedError
from npbsrn.storage.params import leaves, load_arrays
from npbsrn.training import loop
from npbsrn.training import train as start
from npbsrn.training.records import Records
from tests.training.runs import Waited, arrays, interrupt_at, read_metrics, same


def test_the_loss_falls(train, tmp_path):
    train(steps=120, rate=5e-3, warmup=5, validate_every=30, base="none")
    with (tmp_path / "run/metrics.csv").open() as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_run_leaves_its_files(train, tmp_path, photographs, scale):
    for n in range(5, 12):
        Image.new("RGB", (50, 50), (n, 2 * n, 200)).save(photographs / f"{n}.png")
    model = train(scale=scale)
    run = tmp_path / "run"
    names = {"config.json", "metrics.csv", "checkpoint.npz", "checkpoint-previous.npz", "best.npz", "weights.npz"}
    names |= {"lock", "log.txt", "pictures"} | ({"curves.png"} if find_spec("matplotlib") else set())
    assert {p.name for p in run.iterdir()} == names
    assert json.loads((run / "config.json").read_text())["network"]["scale"] == scale
    assert same(dict(leaves(model.params)), arrays(run / "weights.npz"))
    assert model.card["steps"] == 8
    assert model.card["pictures"] == 11  # one of twelve is held out
    assert npbsrn.upscale(np.zeros((3, 4), np.uint8), scale, run).shape == (3 * scale, 4 * scale)


def test_runs_are_reproducible(train, tmp_path):
    train("a")
    train("b")
    train("c", seed=1)
    a, b, c = (arrays(tmp_path / name / "checkpoint.npz") for name in "abc")
    assert same(a, b)
    assert not same(a, c)


def test_a_loss_that_is_not_finite_stops_with_advice(train, tmp_path, monkeypatch):
    inner = loop.train_step

    def diverge(state, *args):
        new, loss = inner(state, *args)
        return new, float("nan") if state.step == 5 else loss

    monkeypatch.setattr(loop, "train_step", diverge)
    with pytest.raises(TrainingDivergedError, match="no longer finite at step 5; try a lower rate"):
        train()
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["step"] == 4


def test_a_validation_folder_is_judged_on(train, photographs, tmp_path):
    train(validation=photographs)
    with (tmp_path / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [4, 8]
    report = npbsrn.evaluate(tmp_path / "run", photographs, 4)
    assert float(rows[-1]["ssim"]) == pytest.approx(
        npbsrn.evaluate(tmp_path / "run", photographs, 4).mean.ssim, abs=1e-4
    )
    assert sorted(p.name for p in (tmp_path / "run/pictures").iterdir()) == ["0.png", "1.png", "2.png"]
    assert (tmp_path / "run/log.txt").read_text().count("\n") == 4  # begin, two validations, end
    assert float(rows[-1]["psnr"]) == pytest.approx(report.mean.psnr, abs=1e-4)


def test_several_validation_folders_are_judged_on(train, photographs, second, tmp_path):
    train(validation=[photographs, second])
    rows = read_metrics(tmp_path / "run")
    figures = ["psnr_second, small", "ssim_second, small"]
    assert list(rows[0]) == ["step", "loss", "rate", "psnr", "ssim", "seconds", *figures]
    for folder, psnr, ssim in ((photographs, "psnr", "ssim"), (second, *figures)):
        mean = npbsrn.evaluate(tmp_path / "run", folder, 4).mean
        assert (float(rows[-1][psnr]), float(rows[-1][ssim])) == pytest.approx((mean.psnr, mean.ssim), abs=1e-4)
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["psnr"] == pytest.approx(float(rows[-1]["psnr"]), abs=1e-4)
    pictures = (path.relative_to(tmp_path / "run/pictures") for path in (tmp_path / "run/pictures").rglob("*.png"))
    assert sorted(p.as_posix() for p in pictures) == [
        "0.png",
        "1.png",
        "2.png",
        *(f"second, small/{n}.png" for n in (0, 1)),
    ]
    assert f"second, small: PSNR {rows[-1][figures[0]]}, SSIM" in (tmp_path / "run/log.txt").read_text()


def test_a_weight_that_is_not_finite_is_not_saved(train, tmp_path, monkeypatch):
    inner = loop.train_step

    def poison(state, *args):
        new, loss = inner(state, *args)
        if state.step == 3:
            new.params["head.bias"][0] = np.inf
        return new, loss

    monkeypatch.setattr(loop, "train_step", poison)
    with pytest.raises(TrainingDivergedError, match="no longer finite at step 4"):
        train()
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["step"] == 2


def test_an_interrupted_run_can_be_used(train, tmp_path, photographs, monkeypatch):
    interrupt_at(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        train(validation=photographs)
    assert npbsrn.load(tmp_path / "run").card["steps"] == 4


def test_progress_shows_what_it_should(train, capsys):
    train(progress=True)
    shown = capsys.readouterr().err
    for word in ("loss 0.", "lr ", "patches/s", "8/8", "<"):
        assert word in shown


def test_training_works_in_a_thread(train):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(train).result().card["steps"] == 8


def test_no_rank_goes_on_before_the_state_is_written(train, monkeypatch):
    """One that did, and was ended by a signal, would end the first one while it writes."""
    ranks, seen = Waited(), []
    monkeypatch.setattr(start, "find_ranks", lambda: ranks)

    def watch(name):
        inner = getattr(Records, name)

        def write(records, *words, **options):
            seen.append((name, ranks.waiting))
            return inner(records, *words, **options)

        monkeypatch.setattr(Records, name, write)

    watch("checkpoint")
    watch("weights")
    train(late_patch=8)
    assert [waiting for name, waiting in seen if name == "checkpoint"] == [True] * 7  # step 0, four saved, two judged
    assert seen[-1] == ("weights", True)
