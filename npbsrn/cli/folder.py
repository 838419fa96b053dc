"""Enlarge the pictures that `npbsrn.cli.batch.plan` has paired with files to write."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from npbsrn.cli.batch import Batch
from npbsrn.cli.say import say
from npbsrn.errors import ExistsError, PictureError, TooLargeError
from npbsrn.images.saving import Saving
from npbsrn.inference.files import FileJob, How


@dataclass(frozen=True)
class Manner:
    """How every picture is read, enlarged and written, and what is said of it.

    Parameters
    ----------
    how : How
    saving : Saving
    overwrite, first_frame : bool
    max_pixels : int, optional
        See `npbsrn.inference.files.upscale_file`.
    quiet, verbose : bool
        Nothing but warnings and errors; a line for each picture.
    """

    how: How
    saving: Saving
    overwrite: bool = False
    first_frame: bool = False
    max_pixels: int | None = None
    quiet: bool = False
    verbose: bool = False

    def job(self, source: Path | bytes, target: Path | None, name: object = None) -> FileJob:
        """The work on one picture."""
        how = self.how, self.saving, self.overwrite, self.first_frame, self.max_pixels
        return FileJob(source, target, *how, name)

    def enlarge(self, job: FileJob) -> None:
        """Compute a picture that has been read, and say what is done beside that."""
        if job.flattened and not self.quiet:
            colour = "#{:02x}{:02x}{:02x}".format(*(self.saving.background or ()))
            tqdm.write(f"npbsrn: {job.label}: transparency is laid over {colour}", file=sys.stderr)
        try:
            job.enlarge()
        except MemoryError:
            raise TooLargeError(
                "there is not enough memory to enlarge this; give --tile 256, or cut the picture"
            ) from None


def enlarge_batch(batch: Batch, manner: Manner) -> int:
    """Enlarge what is to be done; returns the exit code."""
    if batch.folder:
        make_folder(batch.folder)
    if batch.single:
        return _enlarge_one(batch, manner)
    failed, there = 0, len(batch.existing)
    for picture, result in tqdm(batch.jobs, unit="picture", disable=_no_bar(batch, manner), leave=False):
        try:
            if batch.folder:
                make_folder(result.parent)
            _enlarge(picture, result, manner)
        except ExistsError:  # another process has written it meanwhile
            there += 1
        except (PictureError, TooLargeError) as error:
            failed += 1
            words = error if isinstance(error, PictureError) else f"{picture}: {error}"
            tqdm.write(f"npbsrn: {words}", file=sys.stderr)
    if batch.others:
        say(f"left out, as what is not taken from folders: {_names(batch.others)}")
    if batch.results and not manner.quiet:
        say(f"left out, as results of earlier runs: {_names(batch.results)}")
    done = len(batch.jobs) + len(batch.existing) - there - failed
    left = f"; {there} existed already and are left alone, --overwrite replaces them" if there else ""
    where = f"{batch.folder}: " if batch.folder else ""
    if failed and failed == len(batch.jobs):
        say(f"none of {failed} pictures could be enlarged{left}")
    elif failed:
        say(f"{where}{failed} of {len(batch.jobs)} pictures could not be enlarged{left}")
    elif not manner.quiet:
        print(f"{where}{done} picture{'' if done == 1 else 's'} enlarged{left}")
    return 1 if failed else 0


def _no_bar(batch: Batch, manner: Manner) -> bool | None:
    return True if len(batch.jobs) < 2 or manner.quiet or manner.verbose else None


def _enlarge_one(batch: Batch, manner: Manner) -> int:
    """A single picture, whose failure is the command's."""
    for picture, result in batch.jobs:
        width, height = _enlarge(picture, result, manner)
        if not manner.quiet and not manner.verbose:
            print(f"{result}: {width}x{height} pixels")
    for result in batch.existing:
        if not manner.quiet:
            print(f"{result} exists already and is left alone")
    return 0


def _enlarge(picture: Path, result: Path, manner: Manner) -> tuple[int, int]:
    start = time.perf_counter()
    job = manner.job(picture, result)
    job.read()
    manner.enlarge(job)
    width, height = job.write()
    if manner.verbose:
        tqdm.write(f"{picture} -> {result}: {width}x{height} pixels, {time.perf_counter() - start:.1f} s")
    return width, height


def _names(paths: Sequence[Path]) -> str:
    """The first ten of some paths."""
    more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
    return ", ".join(str(path) for path in paths[:10]) + more


def make_folder(folder: Path) -> None:
    """Make a folder for results."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"cannot make the folder {folder}: {error.strerror}; choose another place") from None
