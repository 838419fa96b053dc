"""Files written completely or not at all, and locks."""

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

from npbsrn.errors import ExistsError, HeldError, NpbsrnError, WeightsError
from npbsrn.runtime.interrupts import ENDING, UNFINISHED

LONGEST = 255  # bytes of a file's name, on every usual file system

_mark: ContextVar[str] = ContextVar("mark", default="")  # see `marked`


def short_name(stem: str, ending: str) -> str:
    """A file's name, with as much of its stem as there is room for."""
    while stem and len(os.fsencode(stem + ending)) > LONGEST:
        stem = stem[:-1]
    return stem + ending


def check_folder_of(path: Path, error: type[NpbsrnError], made: bool = False) -> None:
    """Refuse, before any work is done, a file whose folder is missing, or cannot be `made`, or may not be written."""
    check_folder(path.parent, str(path), error, made)


def check_folder(folder: Path, what: str, error: type[NpbsrnError], made: bool = False) -> None:
    """Refuse a folder that is missing, or cannot be `made`, or in which nothing may be written; `what` would be."""
    while made and not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        cure = f"{folder} is no folder; choose another place" if made else f"there is no folder {folder}; make it first"
        raise error(f"cannot write {what}: {cure}")
    if not os.access(folder, os.W_OK):
        raise error(f"cannot write {what}: the folder {folder} may not be written; choose another one")


def refuse_full(path: Path, need: int, error: type[NpbsrnError]) -> None:
    """Refuse, before any work is done, a file of at least `need` bytes for which the disk has no room."""
    try:
        free = shutil.disk_usage(path.absolute().parent).free
    except OSError:  # a file system that does not say
        return
    if need > free:
        raise error(
            f"cannot write {path}: it takes {need / 1e6:.0f} MB or more, and {free / 1e6:.0f} MB are free on its disk; "
            "make room, or choose another place"
        )


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse, before any work is done, a file that exists, a broken link too, and is not to be replaced."""
    if os.path.lexists(path) and not overwrite:
        raise ExistsError(path)


@contextmanager
def atomic_write(path: str | os.PathLike[str], replace: bool = True, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path` that takes its place when the block ends without an error.

    The content is flushed to the disk before the rename, so that after a crash `path` holds either its
    old content or the new one. After an error, a full disk and an interrupt included, the temporary file is removed.

    Parameters
    ----------
    path : path
        The file to write; its folder must exist.
    replace : bool
        Whether a file that is there by then is replaced; the new one has its permissions.
    follow : bool
        Whether a link stays, and the file that it leads to is written; without, the file takes the link's place.

    Yields
    ------
    file : binary file, open for writing and reading

    Raises
    ------
    FileExistsError
        Without `replace`, behind the block, if there is a file. Of several that write at once one wins.
    """
    path = Path(os.path.realpath(path)) if follow else Path(path).absolute()
    # Of 50 letters, each of 4 bytes at most, as a name has 255 bytes.
    temporary = path.with_name(f".{path.name[:50]}.{_mark.get()}{secrets.token_hex(8)}.tmp")
    try:
        with ENDING:
            UNFINISHED.add(str(temporary))
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        with os.fdopen(handle, "w+b") as file:
            if replace and hasattr(os, "fchmod") and path.is_file() and not path.is_symlink():
                os.fchmod(handle, path.stat().st_mode & 0o777)
            yield file
            file.flush()
            os.fsync(file.fileno())
        with ENDING:
            if replace:
                os.replace(temporary, path)
            else:
                _place(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    finally:
        UNFINISHED.discard(str(temporary))


@contextmanager
def marked(mark: str) -> Iterator[None]:
    """Let temporary files that this thread makes while the block runs have a mark, for `remove_marked`.

    Parameters
    ----------
    mark : str
        At most 16 letters and digits, which nobody else has.
    """
    token = _mark.set(mark)
    try:
        yield
    finally:
        _mark.reset(token)


def remove_marked(folders: Iterable[Path], mark: str) -> None:
    """Remove the temporary files of a mark from some folders: those of processes that were killed."""
    for folder in folders:
        with suppress(OSError):
            for path in folder.iterdir():
                if path.name.startswith(".") and f".{mark}" in path.name and path.suffix == ".tmp":
                    path.unlink(missing_ok=True)


@contextmanager
def whole_weights(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """`atomic_write` of weights, whose failures become one sentence.

    Raises
    ------
    WeightsError
        If the file cannot be written; an older file of that name is still there.
    """
    try:
        with atomic_write(path) as file:
            yield file
    except OSError as error:
        reason = error.strerror or error
        raise WeightsError(f"cannot write {path}: {reason}; free some space or choose another place") from None


def _place(temporary: Path, path: Path) -> None:
    """Rename a file to a name that nobody has; a link is made where that can be, as it never replaces a file."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    except (OSError, NotImplementedError, AttributeError):  # a file system or a system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        os.rename(temporary, path)
    else:
        temporary.unlink()


@contextmanager
def lock(path: Path | str, refusal: str) -> Iterator[None]:
    """Hold the lock of a file while the block runs; it ends with the process, too, however that ends.

    Parameters
    ----------
    path : path
        An empty file, made where it is missing. It stays: whoever removed it could take away the lock of another.
    refusal : str
        What to say where another process, or another block of this one, holds the lock.

    Raises
    ------
    HeldError
        If it is held.
    """
    with open(path, "ab") as file:  # closing it ends the lock
        try:
            _take(file.fileno())
        except BlockingIOError:
            raise HeldError(refusal) from None
        except OSError:
            pass  # a file system without locks: better not protected than not usable
        yield


if sys.platform == "win32":
    import msvcrt

    def _take(handle: int) -> None:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
else:
    import fcntl

    def _take(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
