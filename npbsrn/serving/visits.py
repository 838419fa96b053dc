"""What the server holds: the pages that are open, and their pictures.

All of it lives in the server's event loop. Files lie in one folder, which only its owner may read.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from npbsrn.errors import NpbsrnError
from npbsrn.images.opening import MAX_PIXELS
from npbsrn.serving.entries import Entry

MEGABYTE = 10**6


class RefusedError(NpbsrnError):
    """A request cannot be met, with its status in HTTP."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """How much the server takes.

    Parameters
    ----------
    upload : int
        Bytes of one picture's file.
    pixels : int, optional
        Of one picture; see `npbsrn.inference.files.upscale_file`.
    pictures : int
        At once, on all pages together.
    kept : int
        Bytes of all pictures and results.
    pages : int
        That are open at once. Each holds a connection open, of which browsers have six with one server.
    patience : float
        Seconds for which what a page has sent outlives it: a connection may break, and come back.
    first : float
        Seconds that a page has for its first connection, on a busy machine too.
    """

    upload: int = 256 * MEGABYTE
    pixels: int | None = MAX_PIXELS
    pictures: int = 100
    kept: int = 4000 * MEGABYTE
    pages: int = 4
    patience: float = 5.0
    first: float = 60.0


class Listener:
    """A page's connection: what has changed since it was last told, of each picture only the newest."""

    def __init__(self) -> None:
        self._changed: dict[int, dict[str, Any]] = {}
        self._news = asyncio.Event()

    def tell(self, entry: Entry) -> None:
        """A picture's state has changed."""
        self._changed[entry.number] = entry.told()
        self._news.set()

    async def news(self) -> list[dict[str, Any]]:
        """Wait for changes."""
        await self._news.wait()
        self._news.clear()
        changed, self._changed = self._changed, {}
        return list(changed.values())


class Visit:
    """A page that is open."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(12)
        self.entries: dict[int, Entry] = {}
        self.listeners: set[Listener] = set()
        self.left: asyncio.TimerHandle | None = None  # which deletes all, where no connection is open

    def tell(self, entry: Entry) -> None:
        """Tell the page a picture's state."""
        for listener in self.listeners:
            listener.tell(entry)


class Visits:
    """All pages that are open.

    Parameters
    ----------
    folder : Path
    limits : Limits
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._visits: dict[str, Visit] = {}
        self._count = 0
        self._coming: set[Coming] = set()

    def open(self) -> Visit:
        """A page opens.

        Raises
        ------
        RefusedError
            If too many are open.
        """
        if sum(bool(visit.listeners) for visit in self._visits.values()) >= self.limits.pages:
            raise RefusedError(429, f"{self.limits.pages} pages are open already; close one of them, then reload this")
        visit = Visit()
        self._visits[visit.token] = visit
        self._close_after(self.limits.first, visit)
        return visit

    def __getitem__(self, token: str) -> Visit:
        """The visit of a token, or a `RefusedError`."""
        if token not in self._visits:
            raise RefusedError(404, "this page was closed, and what it sent is deleted; reload it")
        return self._visits[token]

    def entry(self, token: str, number: int) -> Entry:
        """A picture of a visit, or a `RefusedError`."""
        if number not in (entries := self[token].entries):
            raise RefusedError(404, "there is no such picture any more; send it again")
        return entries[number]

    @contextmanager
    def listening(self, visit: Visit) -> Iterator[Listener]:
        """A connection of a page, told of all its pictures first. Behind the last one, all is deleted soon."""
        listener = Listener()
        visit.listeners.add(listener)
        if visit.left is not None:
            visit.left.cancel()
        for entry in visit.entries.values():
            listener.tell(entry)
        try:
            yield listener
        finally:
            visit.listeners.discard(listener)
            if not visit.listeners:
                self._close_after(self.limits.patience, visit)

    def _close_after(self, seconds: float, visit: Visit) -> None:
        visit.left = asyncio.get_running_loop().call_later(seconds, self.close, visit)

    def close(self, visit: Visit) -> None:
        """Delete all that a page has sent, and what was made of it."""
        self._visits.pop(visit.token, None)
        for entry in visit.entries.values():
            entry.remove()
        visit.entries.clear()

    def close_all(self) -> None:
        """As if all pages were closed."""
        for visit in list(self._visits.values()):
            self.close(visit)

    # --- pictures ---

    def _entries(self) -> list[Entry]:
        return [entry for visit in self._visits.values() for entry in visit.entries.values()]

    @property
    def kept(self) -> int:
        """Bytes of all pictures and results."""
        return sum(coming.entry.size for coming in self._coming) + sum(entry.kept for entry in self._entries())

    def refuse_full(self) -> None:
        """Refuse more where the server holds as much as it takes."""
        if self.kept >= self.limits.kept:
            most = f"{self.limits.kept / MEGABYTE:g} MB of pictures and results"
            raise RefusedError(429, f"the server holds {most} already, which is all it takes; remove some first")

    def refuse_long(self, size: int) -> None:
        """Refuse a file of more bytes than are taken."""
        if size > self.limits.upload:
            most = f"{self.limits.upload / MEGABYTE:g} MB"
            raise RefusedError(413, f"a picture's file may have {most}; npbsrn serve --max-size takes larger ones")

    @contextmanager
    def coming(self, name: str) -> Iterator["Coming"]:
        """Take a picture's file as it comes; whatever goes wrong in the block, nothing of it stays."""
        if len(self._entries()) + len(self._coming) >= self.limits.pictures:
            raise RefusedError(429, f"the server takes {self.limits.pictures} pictures at once; remove some first")
        self.refuse_full()
        self._count += 1
        entry = Entry(self._count, name, self.folder / str(self._count))
        entry.folder.mkdir(mode=0o700)
        coming = Coming(self, entry)
        self._coming.add(coming)
        try:
            with open(entry.source, "xb") as coming.file:
                yield coming
        except BaseException:
            entry.remove()
            raise
        finally:
            self._coming.discard(coming)


@dataclass(eq=False)
class Coming:
    """A file that is coming."""

    visits: Visits
    entry: Entry
    file: BinaryIO | None = None

    def add(self, data: bytes) -> None:
        """Take what has come."""
        assert self.file is not None
        self.entry.size += len(data)
        self.visits.refuse_long(self.entry.size)
        self.visits.refuse_full()
        self.file.write(data)

    def flush(self) -> None:
        """All has come: the file can be read."""
        assert self.file is not None
        self.file.close()

    def into(self, visit: Visit) -> None:
        """The picture becomes a page's."""
        visit.entries[self.entry.number] = self.entry
        visit.tell(self.entry)
