"""Look at what reading one input does: what comes out, what is written, what is run, memory and time."""

import logging
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MEMORY = 1 << 30  # bytes that one input may take beside what the process had: inputs are smaller than 1 MiB
SECONDS = 10  # of CPU that one input may take
LARGEST = 1 << 16  # bytes of an input
ADDRESSES = 6 << 30  # bytes of address space of the whole process
# What no file may lead to, by the names of Python's audit events. Reading may import, so `exec` is not among them.
FORBIDDEN = {
    "ctypes.dlopen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pickle.find_class",
    "pty.spawn", "socket.bind", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "webbrowser.open",
}  # fmt: skip
CHANGING = {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"}


@dataclass(frozen=True)
class Seen:
    """What happened to one input: what `run` said, what was wrong, and what it took."""

    outcome: str
    faults: dict[str, str] = field(default_factory=dict)  # a short name, and the whole story
    memory: int = 0
    seconds: float = 0.0


class Watch:
    """Runs a function on inputs, one after another, in a folder that is empty each time.

    Parameters
    ----------
    run : (bytes, folder) -> str
        Reads an input, and says in a word how it ended. It lets through what is wrong, as an exception.
    """

    def __init__(self, run: Callable[[bytes, Path], str]) -> None:
        self.run = run
        memory = Path("/dev/shm")  # where a flush to the disk takes no time
        place = memory if os.access(memory, os.W_OK) else None
        self.home = tempfile.TemporaryDirectory(prefix="npbsrn-fuzz-", dir=place)
        self.folder = Path(self.home.name) / "in"
        self.folder.mkdir()
        self.said = os.open(Path(self.home.name) / "said", os.O_RDWR | os.O_CREAT)
        self.active, self.heard = False, dict[str, str]()
        logging.root.addHandler(logging.NullHandler())  # as the command does
        sys.addaudithook(self._hear)

    def warm_up(self, inputs: Iterable[bytes]) -> None:
        """Run inputs unwatched, so that what they import and compile is there."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for data in inputs:
                self.run(data, self.folder)
                _empty(self.folder)

    def look(self, data: bytes) -> Seen:
        """Run one input."""
        self.heard = {}
        resident, began = _peak(), time.process_time()
        error = self._run(data)
        seconds, memory = time.process_time() - began, _memory("VmHWM") - resident
        faults = dict(self.heard)
        outcome = error if isinstance(error, str) else "fault"
        if not isinstance(error, str):
            faults[_place_of(error)] = "".join(traceback.format_exception(error))
        if left := [path.name for path in self.folder.rglob("*") if path.name.endswith(".tmp")]:
            faults["left behind"] = str(left)
        if memory > MEMORY:
            faults["memory"] = f"{memory / 1e6:.0f} MB"
        if seconds > SECONDS:
            faults["time"] = f"{seconds:.1f} s"
        _empty(self.folder)
        return Seen(outcome, faults, memory, seconds)

    def _run(self, data: bytes) -> str | BaseException:
        """The word that `run` says, or what it lets through; decoders may print words, but no escape sequences."""
        sys.stderr.flush()
        errors = os.dup(2)
        os.dup2(self.said, 2)
        self.active = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self.run(data, self.folder)
        except BaseException as error:
            return error
        finally:
            self.active = False
            os.dup2(errors, 2)
            os.close(errors)
            if size := os.fstat(self.said).st_size:
                said = os.pread(self.said, size, 0).decode("utf-8", "backslashreplace")
                if not said.replace("\n", "").isprintable():
                    self.heard["printed"] = ascii(said[:400])
                os.ftruncate(self.said, 0)
                os.lseek(self.said, 0, os.SEEK_SET)

    def _hear(self, event: str, details: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event == "pickle.find_class" and str(details[0]).startswith("numba."):
            return  # a kernel that the package has kept on the disk
        if event in FORBIDDEN:
            self.heard[event] = str(details)[:400]
        elif event in CHANGING or (event == "open" and _writes(details)):
            place = os.path.abspath(os.fsdecode(details[0])) if isinstance(details[0], str | bytes) else ""
            inside = place.startswith((self.home.name, "/dev/null"))
            if not inside and "__pycache__" not in str(details[0]) and not isinstance(details[0], int):
                self.heard[f"{event} elsewhere"] = str(details)[:400]


def _writes(details: tuple[Any, ...]) -> bool:
    return isinstance(details[2], int) and bool(details[2] & (os.O_WRONLY | os.O_RDWR))


def _place_of(error: BaseException) -> str:
    """Where an error comes from: its type, the last line of npbsrn or of the harness, and the last line of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "npbsrn" in Path(frame.filename).parts or "fuzz" in frame.filename]
    shown = [f"{Path(f.filename).name}:{f.lineno}" for f in (*own[-1:], *frames[-1:])]
    return f"{type(error).__name__} {' '.join(dict.fromkeys(shown))}"


def _empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _peak() -> int:
    """Let the peak begin anew; what there is now, in bytes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def limit_addresses() -> None:
    """Let an allocation beyond all measure fail, instead of the machine."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
