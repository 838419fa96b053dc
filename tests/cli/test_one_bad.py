"""What one bad picture, or an odd one, does to the others and to the command."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from npbsrn.cli.finding import pictures_below
from npbsrn.cli.parser import main
from npbsrn.errors import TooLargeError
from npbsrn.images.embedding import as_rational
from npbsrn.inference.jobs import WholeJob, begin
from npbsrn.inference.runners import Bicubic
from npbsrn.inference.tasks import How, Task


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of three."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for name in "abc":
        Image.new("RGB", (5, 4), (9, 8, 7)).save(f"in/{name}.png")


def enlarge(*words):
    return main([*words, "-s", "2", "-m", "bicubic"])


@pytest.mark.parametrize("error", [RuntimeError("odd"), MemoryError(), OSError("odd")])
def test_whatever_is_wrong_with_one_the_others_have_their_turn(pictures, monkeypatch, capsys, error):
    inner = WholeJob.write

    def write(job, progress):
        if Path(job.task.source).name == "b.png":
            raise error
        return inner(job, progress)

    monkeypatch.setattr(WholeJob, "write", write)
    assert enlarge("in", "-o", "out") == 1
    assert sorted(os.listdir("out")) == ["a.png", "c.png"]
    assert "in/b.png" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["webp", "jpg", "tif"])
def test_a_resolution_beyond_what_fits_is_kept_as_well_as_can_be(pictures, suffix):
    Image.new("RGB", (5, 4)).save("dense.png", dpi=(999_999, 72))
    assert enlarge("dense.png", "-f", suffix) == 0
    assert Path(f"dense-x2.{suffix}").exists()


@pytest.mark.parametrize("value", [1e-3, 72, 299.9994, 429_496.7, 429_497.3, 999_999.9, 1e6])
def test_both_numbers_of_a_resolution_fit(value):
    above, below = as_rational(value)
    assert 0 <= above < 2**32
    assert 0 < below < 2**32
    assert above / below == pytest.approx(value, rel=1e-3, abs=1e-4)


@pytest.mark.filterwarnings("ignore:.*256 colours")
@pytest.mark.parametrize(("kind", "target"), [("gif", "webp"), ("gif", "gif"), ("png", "webp"), ("png", "gif")])
def test_an_animation_that_runs_very_often(pictures, kind, target):
    frames = [Image.new("RGB", (5, 4), (90 * n, 0, 0)) for n in range(2)]
    loop = 65535 if kind == "gif" else 100_000
    frames[0].save(f"m.{kind}", save_all=True, append_images=frames[1:], loop=loop)
    assert enlarge(f"m.{kind}", "-o", f"o.{target}") == 0
    with Image.open(f"o.{target}") as image:
        assert image.n_frames == 2
        assert image.info["loop"] == 65535


@pytest.mark.parametrize("name", ["o.gif", "o.avif", "o.apng"])
def test_a_name_and_a_format_that_disagree(pictures, capsys, name):
    assert enlarge("in/a.png", "-o", name, "-f", "jpg") == 2
    assert f"-o {name} and -f jpg name two formats; leave one out" in capsys.readouterr().err


def test_check_takes_any_number_of_pixels(pictures):
    assert enlarge("in/a.png", "-o", "a2.png") == 0
    assert main(["check", "in/a.png", "a2.png", "--max-pixels", "any"]) == 0
    assert main(["check", "in/a.png", "a2.png", "--max-pixels", "19"]) == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may enter any folder")
def test_a_folder_that_may_be_listed_but_not_entered(pictures):
    Path("in/sub").mkdir()
    Image.fromarray(np.zeros((2, 2, 3), np.uint8)).save("in/sub/d.png")
    Path("in/sub").chmod(0o444)
    try:
        taken, others = pictures_below(Path("in"))
    finally:
        Path("in/sub").chmod(0o755)
    assert [path.name for path in taken] == ["a.png", "b.png", "c.png"]
    assert [path.name for path in others] == ["d.png"]


def test_pictures_are_not_decoded_before_there_is_memory_for_them(pictures, monkeypatch):
    """Two at once would not fit; the second waits before it is read."""
    whole = Task(Path("in/a.png"), None, How(Bicubic(2), 1)).needed_bytes()
    monkeypatch.setattr("npbsrn.cli.folder.available_bytes", lambda: 2 * whole - 1)
    inside, most, lock = [0], [0], threading.Lock()

    def counted(task):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.02)  # in which another lane could begin
        with lock:
            inside[0] -= 1
        return begin(task)

    monkeypatch.setattr("npbsrn.cli.folder.begin", counted)
    assert enlarge("in", "-o", "out", "-j", "4") == 0
    assert most == [1]
    monkeypatch.setattr("npbsrn.cli.folder.available_bytes", lambda: 3 * whole)
    assert enlarge("in", "-o", "more", "-j", "4") == 0
    assert most[0] > 1


def test_what_does_not_fit_beside_others_is_tried_alone(pictures, monkeypatch):
    tried = []

    def once(task):
        if task.source.name == "b.png" and not tried:
            tried.append(task)
            raise TooLargeError("too large")
        return begin(task)

    monkeypatch.setattr("npbsrn.cli.folder.begin", once)
    assert enlarge("in", "-o", "out", "-j", "2") == 0
    assert tried
    assert sorted(os.listdir("out")) == ["a.png", "b.png", "c.png"]
