"""Where the package keeps what it can make again."""

import os
from pathlib import Path

from npbsrn.errors import UsageError


def cache_folder() -> Path:
    """``$NPBSRN_CACHE``, or ``npbsrn`` in the user's cache folder.

    Raises
    ------
    UsageError
        If the user has no home folder.
    """
    try:
        if folder := os.environ.get("NPBSRN_CACHE"):
            return Path(folder).expanduser().absolute()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "npbsrn"
    except RuntimeError:
        raise UsageError("you have no home folder to keep a cache in; name a folder by NPBSRN_CACHE") from None
