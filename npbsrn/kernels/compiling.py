"""How long kernels have been compiling in this process, and one line about it for who waits."""

import logging
import threading
import time
from typing import Any

from numba.core import event

LOG = logging.getLogger("npbsrn")
PATIENCE = 1.0  # seconds of compiling before anything is said: less is nothing to wonder about
WORDS = (
    "compiling kernels for this CPU, each of them once: up to a quarter of a minute for enlarging, about a minute for "
    "training; `npbsrn warmup` does all of it ahead of time"
)


class Watch(event.Listener):
    """Adds up the time of compilations, of which some are part of others, and logs one line.

    Numba has one compilation at a time, whatever the threads.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth, self._since, self._said, self._known = 0, 0.0, False, 0.0
        self._alarm: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        """A compilation begins."""
        self._depth += 1
        if self._depth > 1:
            return
        self._since = time.perf_counter()
        if not self._said:
            self._alarm = threading.Timer(max(PATIENCE - self.seconds, 0), self._say)
            self._alarm.daemon = True
            self._alarm.start()

    def on_end(self, event: Any) -> None:
        """A compilation ends, be it by an error."""
        self._depth -= 1
        if self._depth > 0:
            return
        self.seconds += time.perf_counter() - self._since
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def be_quiet(self) -> None:
        """Log nothing: for programs that compare what is said."""
        self._said = True

    def news(self) -> bool:
        """Whether anything has been compiled since this was last asked."""
        known, self._known = self._known, self.seconds
        return known < self.seconds

    def _say(self) -> None:
        if not self._said:
            self._said = True
            LOG.info(WORDS)


WATCH = Watch()  # which `npbsrn.kernels.jit` registers
