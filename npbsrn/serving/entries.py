"""A picture that a page has sent, and the work on it.

All of it is changed in the server's event loop alone; the thread that works (`npbsrn.serving.turns`) hands over what it
has to say.
"""

import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from npbsrn.images.formats import WRITTEN, target_suffix
from npbsrn.storage.files import short_name

OPEN = ("waiting", "working")  # states of work that is not done


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
    doing: str = ""  # what takes long beside the work itself, while it does
    notes: list[str] = field(default_factory=list)
    width: int = 0
    height: int = 0
    size: int = 0  # bytes of the result

    def move(self, share: float, left: float | None) -> None:
        """So much is done."""
        self.share, self.left = share, left
        self.doing = self.doing if share == 0 else ""

    def do(self, words: str) -> None:
        """Something is done that takes long."""
        self.doing = words

    def note(self, words: str) -> None:
        """Something is to be said beside the result, once."""
        if words not in self.notes:
            self.notes.append(words)

    def told(self) -> dict[str, Any]:
        """As the page takes it."""
        names = ("number", "scale", "model", "name", "state", "share", "left", "error", "doing", "notes")
        return {name: getattr(self, name) for name in (*names, "width", "height", "size")}


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
