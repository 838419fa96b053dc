"""Files of stores that fsspec reaches by a URL, such as ``s3://bucket/folder``; with the extra `remote`."""

import os
import posixpath
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from npbsrn.errors import PictureError, UsageError

CURE = "pip install 'npbsrn[remote]'"
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)(::[a-z][a-z0-9+.-]+)*://", re.IGNORECASE)  # of two letters: C:\ is none
# Stores in which a file that is written is there as a whole or not at all; elsewhere it is written beside, and renamed.
WHOLE = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory", "oss"}
HEAD = 1 << 16  # bytes of a file's beginning, in which most formats have a picture's size
AT_ONCE = 256  # files whose beginnings are read together


class StoreError(PictureError):
    """A store did not do what it was asked for; it may, when it is asked again."""


@dataclass(frozen=True, order=True)
class Url:
    """A file or folder of a store; it has of a `Path` what naming results takes."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, below: object) -> "Url":
        return Url(f"{self.text.rstrip('/')}/{below}")

    @property
    def name(self) -> str:
        """Behind the last slash."""
        return self.text.rstrip("/").rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """As of a `Path`."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """As of a `Path`."""
        return PurePosixPath(self.name).stem


Place = Path | Url


def place_of(text: str) -> Place:
    """What a text names: a URL with a scheme, or a path."""
    return Url(text.rstrip("/") if not text.endswith("://") else text) if SCHEME.match(text) else Path(text)


def files_below(folder: Url) -> list[str]:
    """The files of a folder and of those below it, as places in it, sorted; none if it is a file, or not there."""
    with _asked(folder, "read") as (store, root):
        found = store.find(root)
    start = root.rstrip("/") + "/"
    return sorted(name.removeprefix(start) for name in found if name.startswith(start))


def heads(urls: Sequence[Url]) -> Iterator[bytes]:
    """The first bytes of some files of one store; none of one that cannot be read."""
    for first in range(0, len(urls), AT_ONCE):
        some = urls[first : first + AT_ONCE]
        with _asked(some[0], "read") as (store, _):
            paths = [_store(url)[1] for url in some]
            parts = store.cat_ranges(paths, [0] * len(paths), [HEAD] * len(paths), on_error="return")
        for part in parts:
            yield part if isinstance(part, bytes) else b""


def fetch(url: Url, path: Path) -> None:
    """Copy a file of a store to this machine."""
    with _asked(url, "read") as (store, name):
        if not store.isfile(name):
            raise PictureError(f"there is no file {url}; name a picture or a folder of pictures")
        store.get_file(name, str(path))


def put(path: Path, url: Url) -> None:
    """Copy a file of this machine to a store: whole or not at all."""
    with _asked(url, "written") as (store, name):
        if _scheme(url) in WHOLE:
            store.put_file(str(path), name)
            return
        folder, _, last = name.rpartition("/")
        temporary = f"{folder}/.{last[:50]}.{secrets.token_hex(8)}.tmp"
        store.makedirs(folder, exist_ok=True)
        replaced = False
        try:
            store.put_file(str(path), temporary)
            if store.exists(name):  # renaming replaces nothing in some stores
                store.rm_file(name)
                replaced = True
            store.mv(temporary, name)
        except BaseException:
            if not replaced and store.exists(temporary):  # or it is all that there is
                store.rm_file(temporary)
            raise


def there(place: Place) -> bool:
    """Whether there is a file or folder."""
    if isinstance(place, Path):
        return place.exists()
    with _asked(place, "read") as (store, name):
        return bool(store.exists(name))


def is_file(url: Url) -> bool:
    """Whether there is a file, and no folder."""
    with _asked(url, "read") as (store, name):
        return bool(store.isfile(name))


def touch(url: Url) -> None:
    """Write an empty file."""
    with _asked(url, "written") as (store, name):
        store.makedirs(name.rpartition("/")[0], exist_ok=True)
        store.pipe_file(name, b"")


def remove(url: Url) -> None:
    """Remove a file."""
    with _asked(url, "removed") as (store, name):
        store.rm_file(name)


def check_store(url: Url) -> None:
    """Refuse a URL of a kind that this machine cannot reach.

    Raises
    ------
    UsageError
        If fsspec, or what it needs for this kind of store, is missing; or if there is no such kind.
    """
    _store(url)


def store_and_name(place: Place) -> tuple[str, str]:
    """The kind of store that has a place, and its name there: the same for each way to write the place."""
    if isinstance(place, Path):
        return "file", os.path.realpath(place)
    store, name = _store(place)
    kind = store.protocol if isinstance(store.protocol, str) else store.protocol[0]
    return kind, os.path.realpath(name) if kind == "file" else posixpath.normpath(name)


def _scheme(url: Url) -> str:
    return url.text.partition(":")[0].lower()


def _store(url: Url) -> tuple[Any, str]:
    """The store of a URL, and the name that it has there."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UsageError(f"{url} is a URL, for which one more package is needed: {CURE}") from None
    try:
        store, name = url_to_fs(url.text)
    except ImportError as error:  # s3fs and the like, which fsspec names
        raise UsageError(f"{url} cannot be reached: {error}") from None
    except ValueError as error:
        raise UsageError(f"{url} is no URL that fsspec knows ({error}); name another place") from None
    except Exception as error:  # some connect at once
        raise StoreError(
            f"{url} cannot be reached ({type(error).__name__}: {error}); check its address and rights"
        ) from None
    return store, str(name)


@contextmanager
def _asked(url: Url, what: str) -> Iterator[tuple[Any, str]]:
    """Ask a store for something; whatever it raises, and each has errors of its own, becomes one sentence."""
    try:
        store = _store(url)
        store[0].invalidate_cache()  # of listings, in a process that asks for hours
        yield store
    except (PictureError, UsageError):
        raise
    except Exception as error:
        raise StoreError(
            f"{url} cannot be {what} ({type(error).__name__}: {error}); check its address and rights"
        ) from None
