"""The progress bar of `npbsrn upscale`: megapixels, and the time that is left; and what is said above it."""

import math
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from npbsrn.images.formats import TIFF, WRITTEN
from npbsrn.images.opening import opened
from npbsrn.runtime.interrupts import above_bars
from npbsrn.runtime.progress import Progress
from npbsrn.storage.remote import Place

LAYOUT = "{desc}{percentage:3.0f}% |{bar}| {n:.1f}/{total:.1f} megapixels, {elapsed} and {remaining} left"
LEAST = 0.1  # seconds between two drawings
COMPUTED = (
    0.9  # share of a picture's time behind which it is computed, and is to be encoded: 0.98 of a JPEG, 0.8 of a PNG
)
# What Pillow says of a TIFF's directory where it is cut short, which is refused anyway, and where it is of a big-endian
# BigTIFF, which it misreads and which is read without it.
PILLOWS = ("Truncated File Read", "Corrupt EXIF data")

_here = threading.local()  # what a thread works at


class Bar:
    """A bar on a terminal, and nothing elsewhere.

    Parameters
    ----------
    pictures : sequence of path
        All that will be enlarged; their headers are read for their sizes.
    hidden : bool
        Whether there is to be no bar on a terminal either.
    sizes : sequence of float, optional
        The pictures' megapixels, where somebody has read them already.
    """

    def __init__(self, pictures: Sequence[Place], hidden: bool, sizes: Sequence[float] | None = None) -> None:
        self._lock = threading.Lock()
        self._done: dict[Place, float] = {}
        self._ended = 0
        shown = not hidden and sys.stderr is not None and sys.stderr.isatty()
        self._sizes: dict[Place, float] = {}
        if shown:
            self._sizes = dict(zip(pictures, sizes or map(megapixels, pictures), strict=True))
        self._bar: Any = None
        if shown:
            from tqdm import tqdm  # which takes 40 ms

            total = sum(self._sizes.values())
            self._bar = tqdm(total=total, leave=False, bar_format=LAYOUT, mininterval=LEAST)

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def of(self, path: Place, stop: threading.Event | None = None) -> Progress:
        """A callback for one picture, which raises `Stopped` when all is to end."""

        def tell(done: int, total: int) -> None:
            if stop is not None and stop.is_set():
                raise Stopped
            self._move(path, COMPUTED * done / max(total, 1))

        return tell

    def end(self, path: Place) -> None:
        """A picture is done, or has failed."""
        with self._lock:
            self._ended += 1
            if self._bar is not None and len(self._sizes) > 1:
                self._bar.set_description_str(f"{self._ended} of {len(self._sizes)} pictures ", refresh=False)
        self._move(path, 1.0)

    def _move(self, path: Place, share: float) -> None:
        size = self._sizes.get(path, 0.0)
        if size:
            with self._lock:
                self._done[path] = size * share
                # Never beyond the total, by rounding: tqdm would warn, and keep its lock if the warning is an error.
                self._bar.n = min(math.fsum(self._done.values()), self._bar.total)
                self._bar.update(0)


@contextmanager
def at_work(picture: object) -> Iterator[None]:
    """Let warnings of this thread name a picture while the block runs; see `named_warnings`."""
    _here.picture = picture
    try:
        yield
    finally:
        _here.picture = None


@contextmanager
def named_warnings() -> Iterator[None]:
    """Let each warning name its picture, be shown once for it, and stand above the bar, while the block runs."""
    with warnings.catch_warnings():
        show, shown = warnings.showwarning, set[str]()
        warnings.simplefilter("always", UserWarning, append=True)  # behind those that the user has chosen

        def above(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
            picture = getattr(_here, "picture", None)
            if _is_tiff(picture) and str(message).startswith(PILLOWS):
                return
            if picture is not None and str(picture) not in str(message):
                message = f"{picture}: {message}"
            if str(message) in shown:  # as of each frame of an animation
                return
            shown.add(str(message))
            with above_bars():
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = above
        yield


def _is_tiff(picture: object) -> bool:
    return WRITTEN.get(Path(str(picture)).suffix.lower()) is TIFF


class Stopped(BaseException):
    """The work on a picture ends, as all does."""


def megapixels(picture: Any) -> float:
    """As a picture's header has it, at a path or in a file that is open; 0 where it cannot be read."""
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter("ignore")
        with nullcontext(picture) if hasattr(picture, "read") else open(picture, "rb") as file, opened(file) as image:
            return float(image.width * image.height / 1e6)
    return 0.0
