import csv
import json
import os
import signal
import warnings
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.errors import DataError, TrainingDivergedError, UsageError
from npbsrn.params import leaves, load_arrays
from npbsrn.training import loop
from npbsrn.training import train as start
from npbsrn.training.checkpoint import Origin

TINY = {"blocks": 1, "width": 4, "batch": 2, "patch": 6, "progress": False, "validate_every": 4, "checkpoint_every": 2}


@pytest.fixture
def train(photographs, tmp_path):
    def run(output="run", scale=4, **options):
        options = TINY | {"steps": 8} | options
        return npbsrn.train(photographs, scale, tmp_path / output, cache=tmp_path / "cache", **options)

    return run


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a | b)


def arrays(path):
    return load_arrays(path)[0]


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
    names |= {"log.txt", "pictures"} | ({"curves.png"} if find_spec("matplotlib") else set())
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


def interrupt_at(monkeypatch, step):
    """Raise SIGINT in this process while the given step is computed."""
    inner = loop.train_step

    def step_and_interrupt(state, *args):
        if state.step == step:
            os.kill(os.getpid(), signal.SIGINT)
        return inner(state, *args)

    monkeypatch.setattr(loop, "train_step", step_and_interrupt)


@pytest.mark.parametrize("at", [0, 2, 3, 6])
def test_ctrl_c_saves_and_resume_ends_bit_for_bit_the_same(train, tmp_path, monkeypatch, at):
    train("whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, at)
        with pytest.raises(KeyboardInterrupt):
            train("stopped")
    assert load_arrays(tmp_path / "stopped/checkpoint.npz")[1]["step"] == at + 1
    npbsrn.train(None, 4, tmp_path / "stopped", resume=True, progress=False, cache=tmp_path / "cache")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "stopped/checkpoint.npz"))
    assert same(arrays(tmp_path / "whole/weights.npz"), arrays(tmp_path / "stopped/weights.npz"))


def test_resume_after_a_crash_between_checkpoints(train, tmp_path, monkeypatch):
    train("whole")
    inner = loop.train_step

    def crash(state, *args):
        if state.step == 5:
            raise SystemError("as if killed")
        return inner(state, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", crash)
        with pytest.raises(SystemError):
            train("killed")
    assert load_arrays(tmp_path / "killed/checkpoint.npz")[1]["step"] == 4
    npbsrn.train(None, 4, tmp_path / "killed", resume=True, progress=False, cache=tmp_path / "cache")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "killed/checkpoint.npz"))


def test_a_loss_that_is_not_finite_stops_with_advice(train, tmp_path, monkeypatch):
    inner = loop.train_step

    def diverge(state, *args):
        new, loss = inner(state, *args)
        return new, float("nan") if state.step == 5 else loss

    monkeypatch.setattr(loop, "train_step", diverge)
    with pytest.raises(TrainingDivergedError, match="no longer finite at step 5; try a lower rate"):
        train()
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["step"] == 4


def test_a_held_out_picture_is_not_trained_on(photographs):
    config = start.make_config(4, options={"holdout": 2})
    for n in range(5, 30):
        Image.new("RGB", (40, 40)).save(photographs / f"{n:02}.png")
    train_pairs, valid_pairs = start.split_pairs(Origin(str(photographs), None), config)
    assert len(valid_pairs) == 2
    assert len(train_pairs) == 28
    assert not {p.name for p in train_pairs} & {p.name for p in valid_pairs}


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


def test_an_existing_run_is_not_overwritten(train):
    train()
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        train()


def test_a_resumed_run_keeps_its_options(train, tmp_path):
    train()
    with pytest.raises(UsageError, match="a resumed run keeps its steps of 8; leave the option out"):
        npbsrn.train(None, 4, tmp_path / "run", resume=True, steps=9)


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


def test_a_resumed_run_remembers_its_validation_folder(train, photographs, tmp_path, monkeypatch):
    train("whole", validation=photographs)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train("stopped", validation=photographs)
    monkeypatch.chdir("/")
    npbsrn.train(None, 4, tmp_path / "stopped", resume=True, progress=False, cache=tmp_path / "cache")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "stopped/checkpoint.npz"))
    metrics = [(tmp_path / run / "metrics.csv").read_text().splitlines() for run in ("whole", "stopped")]
    assert [line.split(",")[0] for line in metrics[0]] == [line.split(",")[0] for line in metrics[1]]


def test_a_resumed_run_wants_its_pictures(train, photographs, tmp_path):
    train()
    Image.new("RGB", (60, 60)).save(photographs / "new.png")
    with pytest.raises(DataError, match="are not those that this run began with"):
        npbsrn.train(None, 4, tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache")


def test_metrics_of_lost_steps_are_dropped(train, tmp_path, monkeypatch):
    inner = loop.train_step

    def crash(state, *args):
        if state.step == 7:
            raise SystemError("as if killed")
        return inner(state, *args)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", crash)
        with pytest.raises(SystemError):
            train(validate_every=3, checkpoint_every=4)  # metrics of step 6, checkpoint of step 4
    npbsrn.train(None, 4, tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache")
    lines = (tmp_path / "run/metrics.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["step", "3", "6", "8"]


@pytest.mark.parametrize(
    ("again", "message"),
    [
        ({"scale": 2}, "keeps its scale of 4"),
        ({"preset": "paper"}, "leave the preset out"),
        ({"milestones": [0.5]}, r"keeps its milestones of \(0.5, 0.75\)"),
        ({"binarizer": {"alpha": "one"}}, "keeps its binarizer of"),
    ],
)
def test_what_is_said_again_must_be_the_same(train, tmp_path, again, message):
    train(milestones=[0.5, 0.75])
    with pytest.raises(UsageError, match=message):
        npbsrn.train(output=tmp_path / "run", resume=True, **again)
    same = {
        "scale": 4,
        "milestones": [0.5, 0.75],
        "steps": 8,
        "width": 4,
        "binarizer": {"alpha": "learned"},
    }
    npbsrn.train(output=tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache", **same)


def test_an_interrupted_run_can_be_used(train, tmp_path, photographs, monkeypatch):
    interrupt_at(monkeypatch, 5)
    with pytest.raises(KeyboardInterrupt):
        train(validation=photographs)
    assert npbsrn.load(tmp_path / "run").card["steps"] == 4


def test_a_run_can_begin_with_the_weights_of_another(train, tmp_path):
    first = train("first")
    second = train("second", init=tmp_path / "first", rate=1e-12)
    for (name, a), (_, b) in zip(leaves(first.params), leaves(second.params), strict=True):
        if ".running_" not in name:
            np.testing.assert_allclose(a, b, atol=1e-9)
    assert second.card["init"] == "first"
    with pytest.raises(npbsrn.NpbsrnError, match="does not fit the network"):
        train("third", init=tmp_path / "first", width=5)


def test_another_scale_takes_the_body_and_a_deeper_network_the_blocks(train, tmp_path):
    first = dict(leaves(train("first").params))
    for options in ({"scale": 2}, {"blocks": 2}):
        network = start.make_network({"scale": 4, "blocks": 1, "width": 4} | options)
        begun = start._weights_of(tmp_path / "first", network, seed=9)
        fresh = dict(leaves(network.init(9)))
        assert begun.keys() == fresh.keys()
        for name, array in begun.items():
            carried = name in first and first[name].shape == array.shape
            np.testing.assert_array_equal(array, first[name] if carried else fresh[name])
        assert any(not np.array_equal(begun[name], fresh[name]) for name in begun if name.startswith("body.hpb.1."))
    with pytest.raises(npbsrn.NpbsrnError, match="has no place or another shape"):
        start._weights_of(tmp_path / "first", start.make_network({"scale": 4, "width": 5}), seed=9)


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(train, tmp_path, damage):
    train("whole")
    train("hurt")
    path = tmp_path / "hurt/checkpoint.npz"
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1000] if damage == "cut" else content[:5000] + b"?" * 99 + content[5099:])
    assert load_arrays(tmp_path / "hurt/checkpoint-previous.npz")[1]["step"] == 6
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        npbsrn.train(output=tmp_path / "hurt", resume=True, progress=False, cache=tmp_path / "cache")
    words = [str(w.message) for w in said]
    assert damage == "missing" or any("checkpoint.npz" in w and "the one before it, is used" in w for w in words), words
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "hurt/checkpoint.npz"))


def test_a_full_disk_leaves_the_last_good_checkpoint(train, tmp_path, monkeypatch):
    from npbsrn import params

    inner, count = np.savez, iter(range(100))

    def savez(file, **arrays):
        if next(count) == 3:
            file.write(b"half")
            raise OSError(28, "No space left on device")
        inner(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(params.np, "savez", savez)
        with pytest.raises(npbsrn.NpbsrnError, match="No space left on device; free some space"):
            train()
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["step"] == 4
    assert not [path for path in (tmp_path / "run").iterdir() if path.name.endswith(".tmp")]
    npbsrn.train(output=tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache")
    train("whole")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "run/checkpoint.npz"))


def test_a_time_budget_sets_the_steps(train, monkeypatch):
    ticks = iter(np.arange(0, 1e6, 0.25))
    monkeypatch.setattr(start.time, "perf_counter", lambda: next(ticks))  # a quarter of a second from call to call
    assert train(minutes=0.1).card["steps"] == int(0.1 * 60 * start.TRAINING_SHARE / 0.25)
    with pytest.raises(UsageError, match="minutes must be above 0"):
        train("other", minutes=0)


def test_a_finished_run_resumes_to_itself(train, tmp_path):
    train()
    before = arrays(tmp_path / "run/weights.npz")
    npbsrn.train(None, 4, tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache")
    assert same(before, arrays(tmp_path / "run/weights.npz"))


def test_without_a_folder_there_is_nothing_to_train_on(tmp_path):
    with pytest.raises(UsageError, match="name a folder of pictures"):
        npbsrn.train(output=tmp_path)


def test_an_output_that_is_a_file_is_refused(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another output folder"):
        train("file/run")


def test_progress_shows_what_it_should(train, capsys):
    train(progress=True)
    shown = capsys.readouterr().err
    for word in ("loss 0.", "lr ", "patches/s", "8/8", "<"):
        assert word in shown


def test_training_works_in_a_thread(train):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(train).result().card["steps"] == 8
