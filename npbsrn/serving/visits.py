"""What the server holds: the pages that are open, their pictures, and the work on these.

All of it lives in the server's event loop; the threads that work (`npbsrn.serving.turns`) hand over what they have to
say. Files lie in one folder, which only its owner may read.
"""

import asyncio
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from npbsrn.errors import NpbsrnError
from npbsrn.images.formats import WRITTEN, target_suffix
from npbsrn.images.opening import MAX_PIXELS
from npbsrn.storage.files import short_name

MEGABYTE = 10**6
OPEN = ("waiting", "working")  # states of work that is not done


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
    """

    upload: int = 256 * MEGABYTE
    pixels: int | None = MAX_PIXELS
    pictures: int = 100
    kept: int = 4000 * MEGABYTE
    pages: int = 4
    patience: float = 5.0


@dataclass(eq=False)
class Attempt:
    """A picture that is enlarged in some way, or has been, or is to be.

    Parameters
    ----------
    number : int
        Among those of its picture.
    scale : float
    model : str
    target : Path
        The result's file.
    name : str
        What the user calls the result.
    """

    number: int
    scale: float
    model: str
    target: Path
    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    state: str = "waiting"  # then "working"; then "done", "failed" or "cancelled"
    share: float = 0.0  # of the work that is done
    left: float | None = None  # seconds, where that can be told
    error: str = ""
    notes: list[str] = field(default_factory=list)
    width: int = 0
    height: int = 0
    size: int = 0  # bytes of the result

    def move(self, share: float, left: float | None) -> None:
        """So much is done."""
        self.share, self.left = share, left

    def note(self, words: str) -> None:
        """Something is to be said beside the result, once."""
        if words not in self.notes:
            self.notes.append(words)

    def told(self) -> dict[str, Any]:
        """As the page takes it."""
        names = ("number", "scale", "model", "name", "state", "share", "left", "error", "notes", "width", "height")
        return {name: getattr(self, name) for name in (*names, "size")}


@dataclass(eq=False)
class Entry:
    """A picture that a page has sent.

    Parameters
    ----------
    number : int
        Among all of the server.
    name : str
        What the user calls it.
    folder : Path
        Of its files.
    """

    number: int
    name: str
    folder: Path
    size: int = 0
    width: int | None = None
    height: int | None = None
    attempt: Attempt | None = None
    attempts: int = 0
    serial: int = 0  # of what was told
    removed: bool = False

    @property
    def source(self) -> Path:
        """The file that was sent. Its name is ours: none that a page sends ever becomes a path."""
        return self.folder / "picture"

    @property
    def kept(self) -> int:
        """Bytes on the disk."""
        return self.size + (self.attempt.size if self.attempt else 0)

    def begin(self, scale: float, model: str) -> Attempt:
        """A new attempt, which replaces the last one and its result."""
        self.end()
        if self.attempt is not None:
            self.attempt.target.unlink(missing_ok=True)
        self.attempts += 1
        suffix = target_suffix(Path(self.name).suffix)
        name = short_name(Path(self.name).stem, f"-x{scale:g}{suffix}")
        assert suffix.lower() in WRITTEN
        target = self.folder / f"result-{self.attempts}{suffix.lower()}"
        self.attempt = Attempt(self.attempts, scale, model, target, name)
        return self.attempt

    def end(self) -> None:
        """Let work that is not done end."""
        if self.attempt is not None and self.attempt.state in OPEN:
            self.attempt.stop.set()
            self.attempt.state = "cancelled"

    def remove(self) -> None:
        """Let the work end, and delete the files."""
        self.removed = True
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def told(self) -> dict[str, Any]:
        """As the page takes it."""
        self.serial += 1
        names = ("number", "serial", "name", "size", "width", "height")
        attempt = self.attempt.told() if self.attempt else None
        return {name: getattr(self, name) for name in names} | {"attempt": attempt}


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
        if len(self._visits) >= self.limits.pages:
            raise RefusedError(429, f"{self.limits.pages} pages are open already; close one of them, then reload this")
        visit = Visit()
        self._visits[visit.token] = visit
        self._leave(visit)
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
                self._leave(visit)

    def _leave(self, visit: Visit) -> None:
        visit.left = asyncio.get_running_loop().call_later(self.limits.patience, self.close, visit)

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
