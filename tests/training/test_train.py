import dataclasses
import subprocess
import sys

import numpy as np
import pytest

import npbsrn
from npbsrn.errors import DataError, UsageError, WeightsError
from npbsrn.storage.params import leaves
from npbsrn.training import budget, loop
from npbsrn.training import train as start
from npbsrn.training.alone import Alone
from npbsrn.training.checkpoint import Origin
from tests.training.runs import Waited, arrays, read_metrics, same


def test_an_existing_run_is_not_overwritten(train):
    train()
    with pytest.raises(UsageError, match="holds a run already; resume it"):
        train()


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


def test_a_binary_run_can_begin_with_a_float_one(train, tmp_path):
    train("float", binarizer="float", padding="zero")
    first, fresh = arrays(tmp_path / "float/weights.npz"), dict(leaves(train("fresh", steps=1, rate=1e-12).params))
    second = dict(leaves(train("binary", init=tmp_path / "float", steps=1, rate=1e-12).params))
    assert second.keys() == fresh.keys()
    assert set(fresh) - set(first) == {name for name in fresh if ".binarizer." in name}
    for name in (name for name in fresh if ".running_" not in name):
        np.testing.assert_allclose(second[name], first.get(name, fresh[name]), atol=1e-9)
    with pytest.raises(npbsrn.NpbsrnError, match=r"body\.hpb\.1\.1\.conv1\.binarizer"):
        train("back", init=tmp_path / "binary", binarizer="float")


def test_a_time_budget_sets_the_steps(train, monkeypatch):
    ticks = iter(np.arange(0, 1e6, 0.25))
    monkeypatch.setattr(budget.time, "perf_counter", lambda: next(ticks))  # a quarter of a second from call to call
    assert train(minutes=0.1).card["steps"] == int(0.1 * 60 * budget.TRAINING_SHARE / 0.25)
    with pytest.raises(UsageError, match="minutes must be a number above 0"):
        train("other", minutes=0)


def test_steps_that_are_timed_may_overflow(train, monkeypatch):
    """As those that are trained, of which what is not finite is refused."""

    def overflow(state, *_):
        return state, float(np.float32(3e38) * np.float32(10))

    monkeypatch.setattr(budget, "train_step", overflow)
    assert train(minutes=1e-6).card["steps"] == 1


def test_the_first_rank_alone_draws_and_reads_weights(train, tmp_path, monkeypatch):
    """The others get its state."""
    train("first")
    ranks, seen, inner = Waited(), [], start._weights_of

    def watched(*words):
        seen.append(ranks.waiting)
        return inner(*words)

    monkeypatch.setattr(start, "find_ranks", lambda: ranks)
    monkeypatch.setattr(start, "_weights_of", watched)
    train("second", init=tmp_path / "first")
    assert seen == [True]


def test_without_a_folder_there_is_nothing_to_train_on(tmp_path):
    with pytest.raises(UsageError, match="name a folder of pictures"):
        npbsrn.train(output=tmp_path)


def test_an_output_that_is_a_file_is_refused(train, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="choose another output folder"):
        train("file/run")


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_training_into_one_folder_is_refused(train, tmp_path, monkeypatch, resume):
    """While the first is at its third step, another one begins, in another process."""
    inner, words = loop.train_step, ["--quiet", *(["--resume"] if resume else [str(tmp_path / "photographs")])]
    small = ["--batch", "1", "--patch", "6", "--set", "blocks=1", "--set", "width=4"] * (not resume)
    said = []

    def step(state, *args):
        if state.step == 3:
            command = [sys.executable, "-m", "npbsrn", "train", "-o", str(tmp_path / "run"), *words, *small]
            said.append(subprocess.run(command, capture_output=True, text=True, check=False))
        return inner(state, *args)

    monkeypatch.setattr(loop, "train_step", step)
    monkeypatch.setenv("NPBSRN_CACHE", str(tmp_path / "cache"))
    train()
    (done,) = said
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert ("another training is at work in" if resume else "holds a run already") in done.stderr
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", inner)
        train("undisturbed")
    assert same(arrays(tmp_path / "run/checkpoint.npz"), arrays(tmp_path / "undisturbed/checkpoint.npz"))
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == ["4", "8"]


@pytest.mark.parametrize(
    ("options", "folder"),
    [({}, "bsrn-x4"), ({"preset": "best"}, "bbcu-x4"), ({"preset": "best", "network": "vdsr"}, "vdsr-x4")],
)
def test_a_runs_folder_is_named_by_its_network(photographs, tmp_path, monkeypatch, options, folder):
    monkeypatch.chdir(tmp_path)
    small = {"blocks": 1, "width": 4, "batch": 2, "patch": 6, "late_patch": 6, "steps": 2}
    model = npbsrn.train(photographs, cache=tmp_path / "cache", progress=False, **small, **options)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [folder]
    assert f"{model.network.config['name']}-x4" == folder


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("digest", DataError, "same pictures; name a folder"),
        ("teacher_digest", WeightsError, "same teacher; name a model"),
    ],
)
def test_ranks_that_see_something_else_than_the_first_one_are_refused(name, error, words):
    own = Origin("photographs", digest="a", teacher="teacher", teacher_digest="b")

    class Second(Alone):
        def lead(self, work):
            return dataclasses.replace(own, **{name: "other"})

    with pytest.raises(error, match=words):
        start._found_by(Second(), lambda alive: (None, [], own))
    assert start._found_by(Alone(), lambda alive: (None, [], own)) == (None, [], own)
