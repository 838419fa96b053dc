"""Enlarge a picture file: as a whole, strip by strip, or frame by frame."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from npbsrn.images.animation import check_frames, encode_frames, write_frames
from npbsrn.images.fitting import format_for
from npbsrn.images.frames import Frame, Frames
from npbsrn.images.layout import Layout, layout_of
from npbsrn.images.picture import Picture
from npbsrn.images.reading import read_picture
from npbsrn.images.strips.base import Rows, Whole
from npbsrn.images.strips.fitting import FittedRows
from npbsrn.images.strips.opening import extents_of, rows_of
from npbsrn.images.writing import encode_picture, write_picture
from npbsrn.inference.strips import Strips
from npbsrn.inference.tasks import Task, check_target
from npbsrn.runtime.progress import Progress, span_of


class Job(Protocol):
    """A task whose picture has been looked at, and which can be done: what could be refused has been."""

    flattened: bool
    """Whether transparency is laid over the background."""

    def write(self, progress: Progress | None = None) -> tuple[int, int]:
        """Enlarge, and write the target, whole or not at all; returns the result's width and height."""
        ...

    def encoded(self, progress: Progress | None = None) -> bytes:
        """Enlarge; returns the content of a file of the format that the task's `saving` names."""
        ...


def begin(task: Task) -> Job:
    """Look at a picture, and decode it if it is to be enlarged as a whole.

    Raises
    ------
    UsageError, PictureError, TooLargeError, ExistsError
        If the work cannot be done; see `npbsrn.inference.files.upscale_file`.
    """
    if task.target is not None:
        check_target(task.source, task.target, task.overwrite, task.saving)
    rows = _rows(task)
    if rows is not None:
        return StripsJob(task, rows)
    frames = task.several()
    if frames is None:
        return _in_memory(task, read_picture(task.source, task.max_pixels, task.name))
    if task.first_frame:
        return _in_memory(task, next(iter(frames)).picture)
    return FramesJob(task, frames)


def _rows(task: Task) -> Rows | None:
    """The picture to be read by rows, where the whole would not fit; None where it does, or must be read whole."""
    extents = None if task.why_whole else extents_of(task.source, task.label)
    if extents is None or task.how.fits(task.bytes_for(Layout(*extents, 4, False, True, True))):
        return None
    rows = rows_of(task.source, task.label, task.max_pixels)
    if rows is None:
        return None
    sample = layout_of(rows.sample)
    layout = replace(sample, width=rows.width, height=rows.height, filled=sample.alpha)
    return None if task.how.fits(task.bytes_for(layout)) else rows


def _in_memory(task: Task, read: Picture) -> Job:
    """Go on with a picture that is in memory; its result may be too large for that."""
    why_whole = task.why_whole
    picture = task.fitted(read, by_rows=not why_whole)
    flattened = read.alpha is not None and picture.alpha is None and not read.opaque()
    layout = layout_of(picture)
    large = layout.size * task.how.runner.scale**2 > format_for(task.target, task.saving).most
    if not why_whole and (large or not task.how.fits(task.how.needed_bytes(layout))):
        return StripsJob(task, Whole(picture), flattened)
    task.refuse_full_disk(picture, picture, False)
    task.refuse_need(layout, why_whole)
    return WholeJob(task, picture, flattened)


@dataclass
class WholeJob:
    """A picture that is enlarged as a whole; see `Job`."""

    task: Task
    picture: Picture
    flattened: bool

    def write(self, progress: Progress | None = None) -> tuple[int, int]:
        """See `Job`."""
        result = self._enlarged(progress)
        write_picture(result, _path(self.task), self.task.overwrite, self.task.saving)
        return result.width, result.height

    def encoded(self, progress: Progress | None = None) -> bytes:
        """See `Job`."""
        return encode_picture(self._enlarged(progress), _format(self.task), self.task.saving)

    def _enlarged(self, progress: Progress | None) -> Picture:
        return self.task.how.enlarge(self.picture, progress)


class StripsJob:
    """A picture that is read, enlarged and written strip by strip, as it does not fit into memory; see `Job`."""

    def __init__(self, task: Task, rows: Rows, flattened: bool = False) -> None:
        how = task.how
        fitting = FittedRows(rows, task.label, task.target, how.runner.scale, task.saving)
        task.refuse_full_disk(rows, fitting.sample, True)
        self.task, self.flattened = task, flattened or fitting.flattened
        self.strips = Strips(fitting, how.runner, how.threads, how.tile, how.strip)

    def write(self, progress: Progress | None = None) -> tuple[int, int]:
        """See `Job`."""
        return self.strips.write(_path(self.task), self.task.overwrite, self.task.saving, progress)

    def encoded(self, progress: Progress | None = None) -> bytes:
        """See `Job`; `npbsrn.inference.strips.why_not` lets no such task begin."""
        raise NotImplementedError("strips are written into files")


@dataclass
class FramesJob:
    """An animation, or several pages: its pictures are read, enlarged and written one after another; see `Job`."""

    task: Task
    frames: Frames
    flattened: bool = False  # formats of several pictures hold transparency

    def __post_init__(self) -> None:
        """Refuse what cannot be written, and pictures that are too large."""
        frames, task = self.frames, self.task
        check_frames(frames.moving, task.target, task.saving)
        task.refuse_need(frames.layout(), "", frames.moving)

    def write(self, progress: Progress | None = None) -> tuple[int, int]:
        """See `Job`; of pages, width and height of the last."""
        sizes: list[tuple[int, int]] = []
        frames = self._enlarged(progress, sizes)
        write_frames(frames, _path(self.task), self.task.overwrite, self.task.saving, self.frames.loop)
        return sizes[-1]

    def encoded(self, progress: Progress | None = None) -> bytes:
        """See `Job`."""
        return encode_frames(self._enlarged(progress, []), _format(self.task), self.task.saving, self.frames.loop)

    def _enlarged(self, progress: Progress | None, sizes: list[tuple[int, int]]) -> Iterator[Frame]:
        how, count, total = self.task.how, len(self.frames), 0
        for n, frame in enumerate(self.frames):
            picture = self.task.fitted(frame.picture)
            total = total or int(picture.width * picture.height * how.runner.scale**2) * count
            enlarged = how.enlarge(picture, span_of(progress, n / count, (n + 1) / count, total))
            sizes.append((enlarged.width, enlarged.height))
            yield replace(frame, picture=enlarged)


def _path(task: Task) -> Path:
    assert task.target is not None
    return task.target


def _format(task: Task) -> str:
    assert task.saving.format is not None
    return task.saving.format
