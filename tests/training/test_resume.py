import contextlib
import json
import os
import signal
import time
import warnings

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.errors import DataError, UsageError
from npbsrn.storage.params import load_arrays
from npbsrn.training import loop
from npbsrn.training.records import Records
from tests.training.runs import arrays, interrupt_at, read_metrics, same


@pytest.mark.parametrize("at", [0, 2, 3, 6])
def test_ctrl_c_saves_and_resume_ends_bit_for_bit_the_same(train, tmp_path, monkeypatch, at):
    train("whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, at)
        with pytest.raises(KeyboardInterrupt):
            train("stopped")
    done = at + 1 if at else 0  # the first step of a process, which may have to compile, is not waited for
    assert load_arrays(tmp_path / "stopped/checkpoint.npz")[1]["step"] == done
    npbsrn.train(None, 4, tmp_path / "stopped", resume=True, progress=False, cache=tmp_path / "cache")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "stopped/checkpoint.npz"))
    assert same(arrays(tmp_path / "whole/weights.npz"), arrays(tmp_path / "stopped/weights.npz"))


def test_a_run_with_options_of_its_data_ends_the_same_when_resumed(train, tmp_path, monkeypatch):
    options = {"keep": 0.6, "flat_patches": 1, "degrade": True}
    train("whole", **options)
    train("plain")
    assert not same(arrays(tmp_path / "whole/weights.npz"), arrays(tmp_path / "plain/weights.npz"))
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            train("stopped", **options)
    go_on(tmp_path / "stopped")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "stopped/checkpoint.npz"))


def figures(run):
    """What ``metrics.csv`` says, without the seconds."""
    return [{**row, "seconds": None} for row in read_metrics(run)]


def go_on(run):
    npbsrn.train(None, 4, run, resume=True, progress=False, cache=run.parent / "cache")


@pytest.mark.parametrize("place", ["picture", "metrics", "weights", "checkpoint"])
def test_an_interrupt_of_a_validation_ends_at_once_and_it_is_done_again(
    train, photographs, tmp_path, monkeypatch, place
):
    options = {"validate_every": 3, "checkpoint_every": 5, "validation": photographs}  # judged at 3, 6 and 8
    train("whole", **options)
    inner, judging = getattr(Records, place), []

    def interrupt(self, *args, **kwargs):
        inner(self, *args, **kwargs)
        if place != "checkpoint" or kwargs.get("again"):
            judging.append(place)
            if len(judging) == count:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
                pytest.fail("it went on")

    for count in (1, 2):  # in the first validation, and in one of the run that goes on
        judging.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Records, place, interrupt)
            with pytest.raises(KeyboardInterrupt, match="; the state is saved, --resume goes on"):
                train("stopped", **options) if count == 1 else go_on(tmp_path / "stopped")
    go_on(tmp_path / "stopped")
    for name in ("checkpoint.npz", "weights.npz", "best.npz"):
        assert same(arrays(tmp_path / "whole" / name), arrays(tmp_path / "stopped" / name)), name
    assert figures(tmp_path / "stopped") == figures(tmp_path / "whole")


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


def test_a_resumed_run_keeps_its_options(train, tmp_path):
    train()
    with pytest.raises(UsageError, match="a resumed run keeps its batch of 2; leave the option out"):
        npbsrn.train(None, 4, tmp_path / "run", resume=True, batch=3)


@pytest.mark.parametrize(("steps", "at"), [(5, 2), (12, 2), (12, 7)])
def test_a_resumed_run_takes_another_length(train, tmp_path, monkeypatch, steps, at):
    constant = {"schedule": "step"}  # so that no step before `at` knows how long the run is
    train("whole", steps=steps, **constant)
    with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
        interrupt_at(patch, at)  # in the last step of 8 it does nothing: that run has ended
        train("changed", steps=8, **constant)
    again = {"resume": True, "progress": False, "cache": tmp_path / "cache", "output": tmp_path / "changed"}
    npbsrn.train(steps=steps, **again)
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "changed/checkpoint.npz"))
    assert json.loads((tmp_path / "changed/config.json").read_text())["steps"] == steps
    with pytest.raises(UsageError, match=f"the run is at step {steps} already"):
        npbsrn.train(steps=steps - 1, **again)


def test_the_schedule_of_a_resumed_run_follows_its_new_length(train, tmp_path):
    train(warmup=0, rate=1.0e-3)
    again = {"resume": True, "progress": False, "cache": tmp_path / "cache", "output": tmp_path / "run"}
    npbsrn.train(steps=16, **again)
    rates = {row["step"]: float(row["rate"]) for row in read_metrics(tmp_path / "run")}
    assert rates["8"] == pytest.approx(1e-3 * 0.5 * (1 + np.cos(np.pi * 7 / 8)), rel=1e-3)
    assert rates["12"] == pytest.approx(1e-3 * 0.5 * (1 + np.cos(np.pi * 11 / 16)), rel=1e-3)


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


def test_a_resumed_run_keeps_its_validation_folders_or_takes_others(train, photographs, second, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 4)
        with pytest.raises(KeyboardInterrupt):
            train(validation=[photographs, second], validate_every=1)
    go_on = {"output": tmp_path / "run", "resume": True, "progress": False, "cache": tmp_path / "cache"}
    with monkeypatch.context() as patch:
        interrupt_at(patch, 6)
        with pytest.raises(KeyboardInterrupt):
            npbsrn.train(**go_on)
    npbsrn.train(**go_on, validation=second)
    rows = read_metrics(tmp_path / "run")
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    assert [row["psnr_second, small"] != "" for row in rows] == [True] * 6 + [False] * 2  # 7 was not judged before
    mean = npbsrn.evaluate(tmp_path / "run", second, 4).mean
    assert float(rows[-1]["psnr"]) == pytest.approx(mean.psnr, abs=1e-4)
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["best"] == pytest.approx(mean.psnr)  # not the other folder's


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
        ({"binarizer": "none"}, "keeps its binarizer of"),
        ({"network": "vdsr"}, "keeps its network of 'bsrn'"),
    ],
)
def test_what_is_said_again_must_be_the_same(train, tmp_path, again, message):
    train(milestones=[0.5, 0.75])
    with pytest.raises(UsageError, match=message):
        npbsrn.train(output=tmp_path / "run", resume=True, **again)
    same = {
        "network": "bsrn",
        "scale": 4,
        "milestones": [0.5, 0.75],
        "steps": 8,
        "width": 4,
        "binarizer": {"alpha": "learned"},
    }
    npbsrn.train(output=tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache", **same)


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
    from npbsrn.storage import params

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


def test_a_finished_run_resumes_to_itself(train, tmp_path):
    train()
    before = arrays(tmp_path / "run/weights.npz")
    npbsrn.train(None, 4, tmp_path / "run", resume=True, progress=False, cache=tmp_path / "cache")
    assert same(before, arrays(tmp_path / "run/weights.npz"))


def test_a_run_keeps_its_options_and_its_first_weights(train, tmp_path):
    train(binarizer={"statistic": "none"})
    again = {"resume": True, "progress": False, "cache": tmp_path / "cache", "output": tmp_path / "run"}
    npbsrn.train(binarizer={"statistic": "none"}, **again)  # the same, said again
    with pytest.raises(npbsrn.NpbsrnError, match="keeps its binarizer"):
        npbsrn.train(binarizer={"statistic": "mean"}, **again)
    for option in ({"minutes": 1}, {"init": tmp_path / "run"}):
        with pytest.raises(npbsrn.NpbsrnError, match="leave minutes and init out"):
            npbsrn.train(**again, **option)


def test_a_checkpoint_that_had_no_time_to_take_its_place_is_the_newest(train, tmp_path):
    train()
    run = tmp_path / "run"
    (run / "checkpoint.npz").rename(run / "checkpoint-new.npz")
    (run / "checkpoint-previous.npz").write_bytes(b"damaged")
    npbsrn.train(output=run, resume=True, progress=False, cache=tmp_path / "cache")
    assert load_arrays(run / "checkpoint-new.npz")[1]["step"] == 8


def test_metrics_do_not_depend_on_interrupts(train, tmp_path, monkeypatch):
    train("whole")
    for at in (2, 6):
        with monkeypatch.context() as patch:
            interrupt_at(patch, at)
            with pytest.raises(KeyboardInterrupt):
                train("stopped") if at == 2 else go_on(tmp_path / "stopped")
    go_on(tmp_path / "stopped")
    assert figures(tmp_path / "stopped") == figures(tmp_path / "whole")


def test_two_interrupts_of_a_step_do_not_wait_for_it(train, tmp_path, monkeypatch):
    inner = loop.train_step

    def step(state, *args):
        for _ in range(2 if state.step == 5 else 0):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        return inner(state, *args)

    monkeypatch.setattr(loop, "train_step", step)
    with pytest.raises(KeyboardInterrupt, match="; --resume goes on from the last checkpoint"):
        train()
    assert load_arrays(tmp_path / "run/checkpoint.npz")[1]["step"] == 4


def test_all_is_saved_before_a_size_of_patch_that_may_have_to_be_compiled(train, tmp_path, monkeypatch):
    late = {"late_patch": 8, "late_from": 0.625, "checkpoint_every": 100, "validate_every": 100}  # from step 5 on
    train("whole", **late)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(KeyboardInterrupt, match="; the state is saved, --resume goes on"):
            train("stopped", **late)
    assert load_arrays(tmp_path / "stopped/checkpoint.npz")[1]["step"] == 5
    go_on(tmp_path / "stopped")
    assert same(arrays(tmp_path / "whole/checkpoint.npz"), arrays(tmp_path / "stopped/checkpoint.npz"))


def test_an_interrupt_behind_the_last_step_is_heeded_before_the_weights(train, tmp_path, monkeypatch):
    train("whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 7)
        with pytest.raises(KeyboardInterrupt, match="; the state is saved, --resume goes on"):
            train("stopped")
    assert not (tmp_path / "stopped/weights.npz").exists()
    go_on(tmp_path / "stopped")
    assert figures(tmp_path / "stopped") == figures(tmp_path / "whole")
