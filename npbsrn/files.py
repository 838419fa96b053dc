"""Files written whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: Path | str) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block ends without an error.

    The content is flushed to the disk before the rename, so that after a crash `path` holds either its
    old content or the new one. After an error, a full disk included, the temporary file is removed.

    Parameters
    ----------
    path : path
        The file to write; its folder must exist.

    Yields
    ------
    file : binary file, open for writing
    """
    path = Path(path).resolve()  # a link stays, and the file behind it is replaced
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
