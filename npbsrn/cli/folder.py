"""Enlarge the pictures that `npbsrn.cli.batch.plan` has paired with files to write."""

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from npbsrn.cli.bar import Bar, at_work, named_warnings
from npbsrn.cli.batch import Batch
from npbsrn.cli.finding import heif_cure
from npbsrn.cli.say import say, tell
from npbsrn.errors import ExistsError, NpbsrnError, PictureError, TooLargeError
from npbsrn.images.saving import Saving
from npbsrn.inference.jobs import Job, begin
from npbsrn.inference.tasks import How, Task
from npbsrn.runtime.interrupts import above_bars, explained
from npbsrn.runtime.lanes import Gate, in_lanes
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.progress import Progress
from npbsrn.runtime.threads import thread_count
from npbsrn.storage.files import check_folder
from npbsrn.storage.remote import Place


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

    def task(self, source: Path | bytes, target: Path | None, name: object = None) -> Task:
        """What is to be done with one picture."""
        how = self.how, self.saving, self.overwrite, self.first_frame, self.max_pixels
        return Task(source, target, *how, name)

    def with_threads(self, threads: int) -> "Manner":
        """The same, with so many threads for a picture."""
        return replace(self, how=replace(self.how, threads=threads))

    def write(self, task: Task, progress: Progress | None = None) -> tuple[int, int]:
        """Enlarge a picture into its target, and say what is done beside that; returns width and height."""
        with self._begun(task) as job:
            return job.write(progress)

    def encoded(self, task: Task) -> bytes:
        """Enlarge a picture into the content of a file, and say what is done beside that."""
        with self._begun(task) as job:
            return job.encoded()

    @contextmanager
    def _begun(self, task: Task) -> Iterator[Job]:
        try:
            job = begin(task)
            if job.flattened:
                self.say_flattened(task.label)
            yield job
        except MemoryError:
            raise TooLargeError(
                "there is not enough memory to enlarge this; give --tile 256, or cut the picture"
            ) from None

    def say_flattened(self, label: object) -> None:
        """Say that a picture has lost its transparency."""
        if not self.quiet:
            colour = "#{:02x}{:02x}{:02x}".format(*(self.saving.background or ()))
            with above_bars():
                say(f"{label}: transparency is laid over {colour}")


@dataclass(frozen=True)
class Done:
    """What has become of a picture."""

    source: Place
    target: Place
    width: int
    height: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.source} -> {self.target}: {self.width}x{self.height} pixels, {self.seconds:.1f} s"


# How several pictures are enlarged: of a batch, a manner, a list for the results that are written, and what to say of
# an interrupt. Yields each job as it ends, with an object whose `result()` returns a `Done`, or raises.
Way = Callable[[Batch, Manner, list[Place], Callable[[], str]], Generator[Any, None, None]]


def enlarge_batch(batch: Batch, manner: Manner, way: Way | None = None) -> int:
    """Enlarge what is to be done, by the threads of this process or another way; returns the exit code."""
    if isinstance(batch.folder, Path):
        check_folder(batch.folder, f"into {batch.folder}", PictureError, made=True)
    if batch.folder:
        manner = replace(manner, saving=replace(manner.saving, make_folder=True))
    if batch.single and way is None:
        return _enlarge_one(batch, manner)
    there, failures = _enlarge_several(batch, manner, way or _enlarge_all)
    failures += batch.clashes
    if batch.others:
        say(f"left out, as what is not taken from folders: {_names(batch.others)}{heif_cure(batch.others)}")
    if batch.results and not manner.quiet:
        say(f"left out, as results of earlier runs: {_names(batch.results)}")
    for words in failures:  # last, where they are seen
        say(words)
    failed = len(failures)
    tried = len(batch.jobs) + len(batch.clashes)
    count = tried - there - failed
    there += len(batch.existing)
    left = f"; {there} existed already and are left alone, --overwrite replaces them" if there else ""
    where = f"{batch.folder}: " if batch.folder else ""
    if failed and failed == tried:
        one = "the other picture could not" if there else "the one picture could not"
        none = f"none of {failed} pictures could" if failed > 1 else one
        say(f"{none} be enlarged{left}")
    elif failed:
        say(f"{where}{failed} of {tried} pictures could not be enlarged{left}")
    elif not manner.quiet:
        tell(f"{where}{count} picture{'' if count == 1 else 's'} enlarged{left}")
    return 1 if failed else 0


def _enlarge_several(batch: Batch, manner: Manner, way: Way) -> tuple[int, list[str]]:
    """Enlarge all pictures; how many results another process has written meanwhile, and what is wrong with others."""
    there, failures, written = 0, [], list[Place]()

    def words() -> str:
        goes_on = "" if manner.overwrite else "; the same command goes on with the others"
        return f"; {len(written)} of {len(batch.jobs)} pictures are done{goes_on}"

    with explained(words), closing(way(batch, manner, written, words)) as all_of_them:
        for (picture, _), future in all_of_them:
            try:
                done = future.result()
                if manner.verbose:
                    with above_bars():
                        tell(done)
            except ExistsError:
                there += 1
            except (PictureError, TooLargeError) as error:
                failures.append(str(error if isinstance(error, PictureError) else f"{picture}: {error}"))
            except NpbsrnError:
                raise
            except MemoryError:
                failures.append(f"{picture} takes more memory than there is; give it alone, or make it smaller")
            except Exception as error:  # a fault of ours, or of a library: it must not keep the others from their turn
                failures.append(f"{picture}: unexpected {type(error).__name__}: {error}; give it alone, behind --debug")
    return there, failures


def _enlarge_all(
    batch: Batch, manner: Manner, written: list[Place], words: Callable[[], str]
) -> Generator[Any, None, None]:
    """Enlarge all pictures, several at once, so that while one is read or written the CPUs compute others."""
    threads, stop, gate = manner.how.threads or thread_count(), threading.Event(), Gate(available_bytes())
    with Bar([picture for picture, _ in batch.jobs], manner.quiet) as bar, named_warnings():

        def work(job: tuple[Path, Path], threads: int) -> Done:
            picture, result = job
            try:
                done = _enlarge_beside(picture, result, manner.with_threads(threads), bar.of(picture, stop), gate)
                written.append(result)
                return done
            finally:
                bar.end(picture)

        yield from in_lanes(work, batch.jobs, threads, stop)


def _enlarge_one(batch: Batch, manner: Manner) -> int:
    """A single picture, whose failure is the command's."""
    for picture, result in batch.jobs:
        with Bar([picture], manner.quiet) as bar, named_warnings():
            done = _enlarge(picture, result, manner, bar.of(picture))
        if not manner.quiet or manner.verbose:
            tell(done if manner.verbose else f"{result}: {done.width}x{done.height} pixels")
    for result in batch.existing:
        if not manner.quiet:
            tell(f"{result} exists already and is left alone")
    return 0


def _enlarge_beside(picture: Path, result: Path, manner: Manner, progress: Progress, gate: Gate) -> Done:
    """Read, enlarge and write one picture, once there is memory for it beside others."""
    with at_work(picture):
        need = manner.task(picture, result).needed_bytes()
    try:
        with gate.holding(need):
            return _enlarge(picture, result, manner, progress)
    except TooLargeError:  # perhaps only beside others, whose memory is known but about
        with gate.alone():
            return _enlarge(picture, result, manner, progress)


def _enlarge(picture: Path, result: Path, manner: Manner, progress: Progress) -> Done:
    """Read, enlarge and write one picture."""
    start = time.perf_counter()
    with at_work(picture):
        width, height = manner.write(manner.task(picture, result), progress)
    return Done(picture, result, width, height, time.perf_counter() - start)


def _names(paths: Sequence[Place]) -> str:
    """The first ten of some paths."""
    more = f" and {len(paths) - 10} more" if len(paths) > 10 else ""
    return ", ".join(str(path) for path in paths[:10]) + more
