"""What the commands say to the user. Nothing else prints names: so none reaches a terminal as it is."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from npbsrn.errors import printable
from npbsrn.runtime.interrupts import above_bars


def say(message: object) -> None:
    """Print a sentence to the error stream, in one write: other processes may print there, too."""
    print(f"npbsrn: {printable(message)}\n", end="", file=sys.stderr)


def tell(line: object, flush: bool = False) -> None:
    """Print a line of a result to the output stream."""
    print(encodable(line), flush=flush)


def tell_lines(text: object) -> None:
    """Print a result of several lines."""
    for line in str(text).split("\n"):
        tell(line)


def encodable(line: object) -> str:
    """A line without control characters, and with escapes for letters that the output stream does not have."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return printable(line).encode(encoding, "backslashreplace").decode(encoding)


class _Spoken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with above_bars():
            if record.exc_info:
                traceback.print_exception(record.exc_info[1])
            else:
                say(record.getMessage())


@contextmanager
def spoken(debug: bool = False) -> Iterator[None]:
    """Say what the package logs: a library is silent, and a command is not; to debug, where errors come from, too."""
    logger, handler = logging.getLogger("npbsrn"), _Spoken()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
