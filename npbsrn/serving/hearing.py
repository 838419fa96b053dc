"""What is said beside the work, by warnings and by the package's log, for those who wait for it."""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_here = threading.local()  # who hears what a thread says


@contextmanager
def heard(note: Callable[[str], None], log: Callable[[str], None]) -> Iterator[None]:
    """Take warnings of this thread, see `hearing`, and what the package logs meanwhile, while the block runs."""
    handler = _Handler(log)
    logger = logging.getLogger("npbsrn")
    logger.addHandler(handler)
    _here.note = note
    try:
        yield
    finally:
        _here.note = None
        logger.removeHandler(handler)


@contextmanager
def hearing() -> Iterator[None]:
    """Pass warnings to those who hear their thread, while the block runs. Filters of warnings are the process's."""
    with warnings.catch_warnings():
        show = warnings.showwarning
        warnings.simplefilter("always", UserWarning)

        def pass_on(
            message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None
        ) -> None:
            note = getattr(_here, "note", None)
            if note is None:
                show(message, category, filename, lineno, file, line)
            else:
                note(str(message))

        warnings.showwarning = pass_on
        yield


class _Handler(logging.Handler):
    def __init__(self, note: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        self._note(record.getMessage())
