"""What is told of a picture's progress, and that telling changes nothing."""

import threading

import numpy as np
import pytest
from PIL import Image

import npbsrn
from npbsrn.inference.choose import choose_runner
from npbsrn.packed import engine as engine_module
from npbsrn.packed import watching

WAYS = {
    "packed": {},
    "packed, one thread": {"threads": 1},
    "packed, tiles": {"tile": 16, "threads": 3},
    "reference": {"engine": "reference", "tile": 16},
    "reference, one thread": {"engine": "reference", "tile": 16, "threads": 1},
    "ensemble": {"ensemble": True},
}


class Told:
    """A callback that notes what it is told, and fails when it is told the n-th time."""

    def __init__(self, fails_at=None):
        self.calls, self.threads, self.fails_at = [], set(), fails_at

    def __call__(self, done, total):
        self.calls.append((done, total))
        self.threads.add(threading.get_ident())
        if len(self.calls) == self.fails_at:
            raise ZeroDivisionError


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(watching, "PAUSE", 1e-4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("channels", [None, 3, 4])
def test_it_rises_to_the_whole_and_changes_nothing(tiny_model, rng, way, channels):
    picture = rng.integers(0, 256, (40, 35, channels)[: 2 if channels is None else 3], np.uint8)
    told = Told()
    result = npbsrn.upscale(picture, 4, tiny_model, progress=told, **WAYS[way])
    assert result.tobytes() == npbsrn.upscale(picture, 4, tiny_model, **WAYS[way]).tobytes()
    done = [done for done, _ in told.calls]
    assert done == sorted(done)
    assert {total for _, total in told.calls} == {done[-1]} == {40 * 4 * 35 * 4}
    assert told.threads == {threading.get_ident()}


def test_bicubic_tells_its_end(rng):
    told = Told()
    npbsrn.upscale(rng.integers(0, 256, (8, 9, 4), np.uint8), 2, "bicubic", progress=told)
    assert told.calls == [(144, 288), (288, 288)]


def test_a_megapixel_is_told_in_many_steps(tiny_model):
    told = Told()
    npbsrn.upscale(np.zeros((1000, 1000, 3), np.uint8), 4, tiny_model, progress=told)
    assert len(set(told.calls)) > 20
    steps = np.diff([0, *(done for done, _ in told.calls)])
    assert len(told.calls) < 1000
    assert np.median(steps) < 16e6 / 20


@pytest.mark.parametrize("way", [way for way in WAYS if way != "ensemble"])
@pytest.mark.parametrize("fails_at", [1, 2, 4])
def test_a_callback_that_fails_ends_the_work(tiny_model, rng, tmp_path, monkeypatch, way, fails_at):
    monkeypatch.setattr(engine_module, "BAND", 300)
    picture = rng.integers(0, 256, (60, 35, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "in.png")
    (tmp_path / "out").mkdir()
    told = Told(fails_at)
    with pytest.raises(ZeroDivisionError):
        npbsrn.upscale_file(tmp_path / "in.png", tmp_path / "out" / "x.png", 4, tiny_model, progress=told, **WAYS[way])
    assert len(told.calls) == fails_at
    assert not list((tmp_path / "out").iterdir())
    again = npbsrn.upscale(picture, 4, tiny_model, **WAYS[way])
    np.testing.assert_array_equal(again, npbsrn.upscale(picture, 4, tiny_model, **WAYS[way] | {"threads": 1}))


def test_the_blocks_end_early_when_the_callback_fails(tiny_model, monkeypatch):
    """Their rows are looked at one by one: what is done when the callback fails is not all."""
    engine, jobs = choose_runner(tiny_model, 4, "packed"), []
    make_job = engine_module.make_job
    monkeypatch.setattr(engine_module, "make_job", lambda *args: jobs.append(make_job(*args)) or jobs[-1])

    def fail(done, total):
        if jobs:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        engine.run(np.zeros((3000, 400, 3), np.uint8), 2, progress=fail)
    first = jobs[0].done.sum()
    jobs.clear()
    engine.run(np.zeros((3000, 400, 3), np.uint8), 2)
    assert first < jobs[0].done.sum()
