"""Errors that users can fix: every message says what was wrong and what to do."""


class NpbsrnError(Exception):
    """Base class of every error that npbsrn raises on purpose."""


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


class TooLargeError(UsageError):
    """A picture does not fit into memory."""
