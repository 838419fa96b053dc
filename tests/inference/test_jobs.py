"""Animations and pages: their need of memory, and what is refused before the work."""

import io
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from npbsrn.errors import TooLargeError
from npbsrn.images.animation import write_frames
from npbsrn.images.frames import Frame, read_frames
from npbsrn.images.picture import Picture
from npbsrn.images.saving import Saving
from npbsrn.inference.jobs import FramesJob, begin
from npbsrn.inference.runners import Bicubic
from npbsrn.inference.tasks import How, Task
from npbsrn.runtime import buffers
from tests.images.files import ramp


def animation(folder, suffix, height, width, count=4):
    noise = np.random.default_rng(3).integers(0, 256, (count, height, width, 4), np.uint8)
    pictures = (Picture(samples[:, :, :3], samples[:, :, 3] if suffix != "gif" else None) for samples in noise)
    target = folder / f"in.{suffix}"
    write_frames([Frame(picture, 100) for picture in pictures], target)
    return target


def need_of(job):
    layout = job.frames.layout()
    return layout.size + job.task.how.needed_bytes(layout, job.frames.moving)


@pytest.mark.filterwarnings("ignore:.*256 colours")
@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif"])
def test_frames_take_no_more_memory_than_they_are_said_to(tmp_path, suffix):
    source = animation(tmp_path, suffix, 90, 110)
    job = begin(Task(source, None, How(Bicubic(3), 1), Saving(format=suffix)))
    assert isinstance(job, FramesJob)
    buffers.clear()
    held = io.BytesIO(job.encoded())  # imports
    tracemalloc.start()
    try:
        job.encoded()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    file = held.getbuffer().nbytes
    assert 0.3 * need_of(job) < peak
    assert peak - 2 * file <= need_of(job)  # which is in memory here, and copied at the end


@pytest.mark.filterwarnings("ignore:.*256 colours")
@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_an_animation_that_is_too_large_is_refused_before_the_work(tmp_path, monkeypatch, suffix):
    source = animation(tmp_path, suffix, 40, 50)
    monkeypatch.setattr("npbsrn.inference.needs.available_bytes", lambda: 40 * 50 * 16)
    with pytest.raises(TooLargeError, match=r"50x40 pixels need .* take a smaller picture or scale$"):
        begin(Task(source, tmp_path / f"out.{suffix}", How(Bicubic(4), 1)))
    assert os.listdir(tmp_path) == [source.name]


def test_the_largest_of_several_pages_counts(tmp_path):
    pages = [Frame(Picture(ramp((height, width, 3), np.uint8))) for height, width in ((5, 9), (8, 3), (2, 2))]
    write_frames(pages, tmp_path / "in.tif")
    layout = read_frames(tmp_path / "in.tif").layout()
    assert (layout.width, layout.height, layout.alpha, layout.itemsize) == (9, 5, False, 1)
    task = Task(tmp_path / "in.tif", None, How(Bicubic(2), 1))
    assert task.needed_bytes() == task.bytes_for(layout)
    assert replace(task, first_frame=True).needed_bytes() == task.bytes_for(layout)


def test_nothing_is_left_of_an_animation_that_goes_to_memory(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    source = animation(tmp_path, "png", 4, 5)

    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin(Task(source, None, How(Bicubic(2), 1), Saving(format="png"))).encoded(interrupted)
    assert not os.listdir(tmp_path / "tmp")
