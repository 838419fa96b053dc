"""The work: one picture after another, each with all threads, by the jobs of `npbsrn upscale`."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from npbsrn import __version__
from npbsrn.errors import NpbsrnError, UsageError
from npbsrn.images.saving import WHITE, Saving, provenance
from npbsrn.inference.any_scale import Composed, check_any_scale, runner_for
from npbsrn.inference.jobs import begin
from npbsrn.inference.tasks import How, Task
from npbsrn.serving.entries import OPEN, Attempt, Entry
from npbsrn.serving.hearing import heard
from npbsrn.serving.visits import Visit, Visits
from npbsrn.shipped import MODELS

OFTEN = 0.2  # seconds between two news of one picture
PACE = 8.0  # seconds of work from which the time that is left is estimated
COMPUTED = 0.95  # share of the work behind which a result is computed, and is to be written
BICUBIC = "bicubic"

Tell = Callable[[Callable[[], None]], None]  # runs something in the server's event loop


class StoppedError(BaseException):
    """The work is not wanted any more. No library takes it for an error of its own."""


def check_wish(scale: object, model: str) -> float:
    """The scale that a page asks for, which must be one that `npbsrn upscale` takes, and a model of the package.

    Raises
    ------
    UsageError
        If it is not. The name of a file is no model here: a page must not have files read.
    """
    if model not in (*MODELS, BICUBIC):
        raise UsageError(f"there is no model {model}; choose among {', '.join((*MODELS, BICUBIC))}")
    try:
        number = float(str(scale))
    except ValueError:
        raise UsageError(f"the scale must be a number, such as 2 or 1.5, not {scale}") from None
    check_any_scale(number)
    return number


def enlarge(entry: Entry, attempt: Attempt, pixels: int | None, threads: int | None, tell: Tell) -> None:
    """Enlarge a picture into its attempt's target, in this thread; whatever goes wrong is the attempt's error.

    Parameters
    ----------
    entry : Entry
    attempt : Attempt
    pixels : int, optional
        See `Limits`.
    threads : int, optional
    tell : callable
        How changes get into the event loop, where all else reads them.
    """

    def end(state: str, error: str = "", size: tuple[int, int] = (0, 0)) -> None:
        if attempt.state in OPEN:  # else it was cancelled meanwhile, and perhaps deleted
            attempt.state, attempt.error = state, _by_names(error, entry, attempt)
            attempt.width, attempt.height = size
            attempt.size = attempt.target.stat().st_size if state == "done" else 0

    def note(words: str) -> None:
        tell(lambda: attempt.note(_by_names(words, entry, attempt)))

    try:
        with heard(note, lambda words: tell(lambda: attempt.do(words))):
            size = _enlarge(entry, attempt, How(runner_for(attempt.model, attempt.scale), threads), pixels, tell)
        tell(lambda: end("done", size=size))
    except StoppedError:
        pass
    except NpbsrnError as error:
        words = str(error)
        tell(lambda: end("failed", words))
    except MemoryError:
        tell(lambda: end("failed", "there is not enough memory to enlarge this; take a smaller scale or picture"))
    except Exception as error:  # a fault of ours, or of a library: the others' turn comes all the same
        words = f"{entry.name}: unexpected {type(error).__name__}: {error}"
        tell(lambda: end("failed", words))


def _enlarge(entry: Entry, attempt: Attempt, how: How, pixels: int | None, tell: Tell) -> tuple[int, int]:
    """As `npbsrn upscale -m MODEL -s SCALE` does; returns the result's sides."""
    runner = how.runner
    if isinstance(runner, Composed):
        tell(lambda: attempt.note(str(runner)))
    saving = Saving(background=WHITE, provenance=provenance(__version__, runner.name, runner.scale, runner.digest))
    job = begin(Task(entry.source, attempt.target, how, saving, max_pixels=pixels, name=entry.name))
    if job.flattened:
        tell(lambda: attempt.note("transparency is laid over white"))
    clock = Clock()

    def progress(done: int, total: int) -> None:
        if attempt.stop.is_set():
            raise StoppedError
        if clock.moved(COMPUTED * done / max(total, 1)):
            share, left = clock.share, clock.left
            tell(lambda: attempt.move(share, left))

    progress(0, 1)
    return job.write(progress)


def _by_names(words: str, entry: Entry, attempt: Attempt) -> str:
    """A sentence with the user's names for the server's files."""
    return words.replace(str(attempt.target), attempt.name).replace(str(entry.source), entry.name)


class Clock:
    """How much of a piece of work is done, and how many seconds the rest takes at the pace of the last ones."""

    def __init__(self) -> None:
        self.share = 0.0
        self.left: float | None = None
        self._points: list[tuple[float, float]] = []  # moments, and what was done

    def moved(self, share: float, now: float | None = None) -> bool:
        """Take the share that is done; whether it is time to tell it."""
        now = time.monotonic() if now is None else now
        if self._points and now - self._points[-1][0] < OFTEN:
            return False
        self.share = max(share, self.share)
        # Of the last seconds alone: before them, kernels may have been compiled, or the machine had other work.
        self._points = [point for point in self._points if now - point[0] < PACE or point is self._points[-1]]
        then, done = next((point for point in self._points if point[1] > 0), (now, self.share))
        if self.share > done:
            self.left = (now - then) * (1 - self.share) / (self.share - done)
        self._points.append((now, self.share))
        return True


class Turns:
    """Whose turn it is: pages take turns, so that a page with one picture does not wait for all of another's.

    Parameters
    ----------
    visits : Visits
    threads : int, optional
        For a picture.
    """

    def __init__(self, visits: Visits, threads: int | None = None) -> None:
        self.visits, self.threads = visits, threads
        self._waiting: list[tuple[Visit, Entry, Attempt]] = []
        self._last: dict[Visit, int] = {}  # when a page had its turn, in numbers of turns
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, "npbsrn-serve")

    def add(self, visit: Visit, entry: Entry, scale: float, model: str) -> None:
        """Let a picture wait for its turn."""
        attempt = entry.begin(scale, model)
        self._waiting.append((visit, entry, attempt))
        visit.tell(entry)
        self._wake.set()

    async def run(self) -> None:
        """Work until the task is cancelled."""
        try:
            while True:
                self._waiting = [wait for wait in self._waiting if wait[2].state == "waiting"]
                if self._waiting:
                    first = min(self._waiting, key=lambda wait: self._last.get(wait[0], 0))
                    self._last = {wait[0]: self._last.get(wait[0], 0) for wait in self._waiting}
                    self._last[first[0]] = max(self._last.values()) + 1
                    await self._work(*first)
                else:
                    self._wake.clear()
                    await self._wake.wait()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _work(self, visit: Visit, entry: Entry, attempt: Attempt) -> None:
        loop = asyncio.get_running_loop()

        def tell(change: Callable[[], None]) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(changed, change)

        def changed(change: Callable[[], None]) -> None:
            change()
            if entry.attempt is attempt:
                visit.tell(entry)

        attempt.state = "working"
        visit.tell(entry)
        most = self.visits.limits.pixels
        try:
            await loop.run_in_executor(self._pool, enlarge, entry, attempt, most, self.threads, tell)
        finally:
            if attempt.stop.is_set():  # the file may have been written nevertheless, or its folder made again
                with suppress(OSError):
                    attempt.target.unlink(missing_ok=True)
                if entry.removed:
                    entry.remove()
