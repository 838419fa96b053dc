"""Interrupts: Ctrl-C, SIGTERM and SIGHUP, answered within a second whatever the main thread does.

Python runs a signal handler in the main thread, between two bytecode instructions: not before a kernel returns, nor
before LLVM has compiled one. The effect of an exception raised there is uncertain, too: libraries print it, or treat it
as a failure of their own. So the command line has a thread that learns of a signal at once, through the descriptor that
Python writes to when the signal arrives. It removes half-written files, prints a message, and ends the process. Only
training asks it to wait (`deferred`).

In any other process, nothing is changed except while a training runs.
"""

import contextlib
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

# A signal that was ignored before stays so: SIGHUP under nohup, SIGINT of a job in the background.
SIGNALS = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]
PATIENCE = 0.4  # seconds for a lock, and for words that nobody takes

ENDING = threading.Lock()  # held while a file is begun or takes its place, and for good by a process that ends
# Files that are not whole yet, and folders of a command's own, to be removed when the process ends.
UNFINISHED: set[str] = set()


class Interrupted(KeyboardInterrupt):
    """An interrupt that came by a signal; its words follow "interrupted" in what is said."""

    def __init__(self, words: str, number: int) -> None:
        super().__init__(words)
        self.number = number


class Deferral:
    """How a training answers: the first interrupt waits until it is asked for, the second ends at once.

    Parameters
    ----------
    first : str
        What to say to the first one; may be empty.
    again : str
        The words of an interrupt that ends at once.
    """

    def __init__(self, first: str, again: str) -> None:
        self.first, self.again = first, again
        self.number: int | None = None  # of the signal that waits
        self._at_once: str | None = None
        self._lock = threading.RLock()  # a handler may come while its own thread holds it

    def hear(self, number: int) -> str | None:
        """Take a signal; returns the words with which to end now, or None where it waits."""
        with self._lock:
            if self._at_once is not None:
                return self._at_once
            if self.number is not None:
                return self.again
            self.number = number
        if self.first:
            say_at_once(self.first)
        return None

    def check(self, words: str) -> None:
        """Raise `Interrupted` with these words if a signal waits."""
        if self.number is not None:
            raise Interrupted(words, self.number)

    @contextlib.contextmanager
    def at_once(self, words: str) -> Iterator[None]:
        """Let the first signal end at once, with these words, while the block runs."""
        with self._lock:
            self._at_once = words
        try:
            self.check(words)
            yield
        finally:
            self._at_once = None


_watching = False
_deferral: Deferral | None = None  # of the training that the watcher asks
_words: Callable[[], str] = str  # what the watcher says behind "interrupted", where there is none
_turn = 0.0  # see `among_others`
_leave: Callable[[int], Any] = os._exit


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Let a signal end the process, which must be the caller's own, while the block runs; behind it, quietly."""
    global _watching
    heeded = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    reading, writing = os.pipe()
    if sys.platform != "win32":
        os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    threading.Thread(target=_watch, args=(reading,), daemon=True).start()
    for number in heeded:
        signal.signal(number, lambda *_: None)  # so that Python takes it, and writes its number
    _watching = True
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)  # no traceback while Python shuts down


@contextlib.contextmanager
def deferred(first: str, again: str) -> Iterator[Deferral]:
    """Let the block look at interrupts when it can, see `Deferral`.

    Where the process is not `watched`, they are heard by handlers, but only in the main thread, and where the caller
    has none of its own.
    """
    global _deferral
    deferral = Deferral(first, again)

    def handler(number: int, frame: Any) -> None:
        if (words := deferral.hear(number)) is not None:
            raise Interrupted(words, number)

    before: dict[int, Any] = {}
    if _watching:
        _deferral = deferral
    elif threading.current_thread() is threading.main_thread():
        heeded = [n for n in SIGNALS if signal.getsignal(n) in (signal.SIG_DFL, signal.default_int_handler)]
        before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield deferral
    finally:
        _deferral = None
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def explained(words: Callable[[], str]) -> Iterator[None]:
    """Let what is said of an interrupt, which ends the block at once, go on with these words."""
    global _words
    before, _words = _words, words
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:  # where the process is not `watched`
        raise Interrupted(words(), signal.SIGINT) from None
    finally:
        _words = before


@contextlib.contextmanager
def among_others(turn: float, leave: Callable[[int], Any]) -> Iterator[None]:
    """Let the end by an interrupt, while the block runs, be that of several processes, one of which ends all.

    Parameters
    ----------
    turn : float
        Seconds that this process waits before it says anything, as those before it say the same, and end it.
    leave : callable
        Ends all, with an exit code. It has a second.
    """
    global _turn, _leave
    before, (_turn, _leave) = (_turn, _leave), (turn, leave)
    try:
        yield
    finally:
        _turn, _leave = before


def _watch(reading: int) -> None:
    while arrived := os.read(reading, 1):
        if (number := arrived[0]) in SIGNALS:
            deferral = _deferral
            words = _words() if deferral is None else deferral.hear(number)
            if words is not None:
                _end(number, words)


def _end(number: int, words: str) -> None:
    """Remove what is half-written, say so, and end the process, with the code that shells give to a signal."""
    try:
        ENDING.acquire(timeout=PATIENCE)
        for path in list(UNFINISHED):
            _remove(path)
        time.sleep(_turn)
        # For a pipe that is full, or a terminal that is gone.
        late = threading.Timer(PATIENCE + (_leave is not os._exit), os._exit, [128 + number])
        late.daemon = True
        late.start()
        with above_bars():  # which the main thread does not draw again
            _print(f"interrupted{words}")
            sys.stdout.flush()
            _leave(128 + number)
    finally:  # whatever fails, as a thread does where there is no memory
        os._exit(128 + number)


def _remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it."""
    with contextlib.suppress(OSError):
        if os.path.isdir(path):
            os.rename(path, path := path + "-ended")  # so that no thread makes new files in it
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def say_at_once(words: str) -> None:
    """Print a sentence to the error stream, from any thread, while bars may be drawn there."""
    with contextlib.suppress(OSError, ValueError, RuntimeError), above_bars():  # a stream that is closed, or at work
        _print(words)


def _print(words: str) -> None:
    """Print a line in one write: of several processes, lines would run into each other."""
    print(f"npbsrn: {words}\n", end="", file=sys.stderr, flush=True)


def above_bars() -> contextlib.AbstractContextManager[Any]:
    """Context in which no progress bar stands on the terminal's line: bars go on below what is printed."""
    # Not imported: where a bar is drawn it is there, and a signal may come while the main thread imports it.
    tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
    return contextlib.nullcontext() if tqdm is None else tqdm.external_write_mode(file=sys.stderr)
