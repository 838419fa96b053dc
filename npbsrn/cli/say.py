"""What the commands say to the user."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def say(message: object) -> None:
    """Print a sentence to the error stream."""
    print(f"npbsrn: {message}", file=sys.stderr)


class _Spoken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # whose bars go on below what is said

        tqdm.write(f"npbsrn: {record.getMessage()}", file=sys.stderr)


@contextmanager
def spoken() -> Iterator[None]:
    """Say what the package logs: a library is silent, and a command is not."""
    logger, handler = logging.getLogger("npbsrn"), _Spoken()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
