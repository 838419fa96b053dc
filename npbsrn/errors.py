"""Errors that users can fix: every message says what was wrong and what to do."""

import unicodedata

HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # what a terminal obeys, or cannot show: controls, directions, lone surrogates
JOINERS = "\u200c\u200d"  # which scripts and emoji need


def printable(text: object) -> str:
    r"""A text in one line that any terminal shows: names of files may hold line breaks, or bytes that are no UTF-8.

    >>> print(printable("a\nb\udce9"))
    a\nb\xe9
    """
    return "".join(_escaped(letter) if _is_hidden(letter) else letter for letter in str(text))


def _is_hidden(letter: str) -> bool:
    return unicodedata.category(letter) in HIDDEN and letter not in JOINERS


def _escaped(letter: str) -> str:
    byte = ord(letter) - 0xDC00  # of a name's byte that is no UTF-8
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else letter.encode("unicode_escape").decode("ascii")


class NpbsrnError(Exception):
    """Base class of every error that npbsrn raises on purpose; its text is one line."""

    def __str__(self) -> str:
        return printable(super().__str__())


class UsageError(NpbsrnError, ValueError):
    """An option or argument does not make sense: an unknown name, a scale out of range, a wrong dtype."""


class PictureError(NpbsrnError, ValueError):
    """A picture cannot be read, or is not one that can be used."""


class DataError(NpbsrnError, ValueError):
    """A folder of pictures is missing, empty or does not fit its task."""


class WeightsError(NpbsrnError, ValueError):
    """A weight file or checkpoint is truncated, foreign, newer than this package, or does not fit."""


class TrainingDivergedError(NpbsrnError, ArithmeticError):
    """The loss is no longer a finite number."""


class ExistsError(UsageError):
    """A file to be written exists already and must not be replaced."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} exists already and is left alone; choose another file, or add --overwrite")


class ClusterError(UsageError):
    """A cluster cannot be reached, lacks something, or is gone."""


class HeldError(UsageError):
    """Another process holds a lock."""


class TooLargeError(UsageError):
    """A picture does not fit into memory."""


def in_words(error: BaseException) -> tuple[str, int] | None:
    """What a command says of an error, and its exit code; None of one that nobody has foreseen."""
    if isinstance(error, NpbsrnError):
        return str(error), 1 if isinstance(error, TrainingDivergedError) else 2
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror or error}; choose another file or place", 2
    if isinstance(error, MemoryError):
        return "there is not enough memory for this; use a smaller picture, batch or patch", 1
    return None
