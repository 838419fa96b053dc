"""What a worker does with a `Request`: the work of one picture, whole or in strips by the memory that it has."""

import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from npbsrn import __version__
from npbsrn.cluster.requests import Network, Outcome, Request, blind, refuse_blind, refuse_version
from npbsrn.errors import ClusterError, ExistsError, NpbsrnError, TooLargeError, UsageError, WeightsError
from npbsrn.inference.any_scale import runner_for
from npbsrn.inference.jobs import begin
from npbsrn.inference.runners import Runner
from npbsrn.inference.tasks import How, Task
from npbsrn.runtime.lanes import Gate
from npbsrn.runtime.memory import available_bytes, hold_to
from npbsrn.storage.files import marked
from npbsrn.storage.remote import Place, StoreError, Url, fetch, put, there

# Of a worker's limit. Dask pauses it at 0.8, and ends it at 0.95: it may be alone with a picture that needs no more.
SHARE = 0.7
KEPT = 4  # networks of a process: commands with others may come one after another
FAILURE = "there is not enough memory to enlarge this; give --tile 256, or cut the picture"
MORE = "or give workers more, by `dask worker --memory-limit`"

_gates: list[Gate] = []  # of this process, once it has one
_beginning = threading.Lock()
_here = threading.local()  # warnings of the picture that a thread works at


def enlarge(request: Request) -> Outcome:
    """Enlarge one picture, on whatever machine this is.

    Returns
    -------
    outcome : Outcome
        Errors of the picture are in it, too: the same would happen elsewhere.

    Raises
    ------
    ClusterError
        What another worker may not run into.
    StoreError, RuntimeError
        What another attempt may not run into. The latter stands for what nobody has foreseen: in a few words, as Dask
        drops workers whose errors it cannot send.
    """
    # Of a worker that has joined after all were asked.
    refuse_version(_name(), __version__, request.version)
    if place := blind(request):
        refuse_blind(_name(), place)
    gate, start = _gate(), time.perf_counter()
    copies: dict[Path, Place] = {}
    failed: Exception | None = None
    with _notes() as notes, _working_folder() as folder, marked(request.mark):
        try:
            width, height, flattened = _enlarged(request, gate, folder, copies)
        except Exception as error:
            failed = error
    if failed is not None:  # not where it was caught: Dask would send it along, however deep it is
        kind, words = _failure(failed)
        return Outcome(error=kind, words=request.as_given(words, copies), notes=_given(notes, request, copies))
    seconds = time.perf_counter() - start
    return Outcome(width, height, seconds, flattened, _given(notes, request, copies))


def _failure(error: Exception) -> tuple[str, str]:
    """The class of an error of a picture, and its words; raises what is none of the picture's."""
    if isinstance(error, ClusterError | StoreError):
        raise error
    if isinstance(error, TooLargeError | MemoryError):
        words = str(error) if isinstance(error, TooLargeError) else FAILURE
        return TooLargeError.__name__, f"{words}, {MORE}"
    if isinstance(error, UsageError | WeightsError) and not isinstance(error, ExistsError):
        raise ClusterError(f"{_name()} refuses to begin: {error}") from None
    if isinstance(error, NpbsrnError):
        return _kind(error), str(error)
    raise RuntimeError(f"{type(error).__name__}: {error}"[:500]) from None


def _enlarged(request: Request, gate: Gate, folder: "_Folder", copies: dict[Path, Place]) -> tuple[int, int, bool]:
    """Enlarge a picture of a request; returns the result's width and height, and whether it was flattened."""
    source, target = request.there(request.source), request.there(request.target)
    if isinstance(target, Url) and not request.overwrite and there(target):
        raise ExistsError(target)
    near = folder.near(source, "in"), folder.near(target, "out")
    copies |= {path: place for path, place in zip(near, (source, target), strict=True) if isinstance(place, Url)}
    if isinstance(source, Url):
        fetch(source, near[0])
    how = How(_runner(request.network), request.threads, request.tile, request.ensemble)
    task = Task(
        near[0], near[1], how, request.saving, request.overwrite, request.first_frame, request.max_pixels,
        request.source,
    )  # fmt: skip
    try:
        with gate.holding(task.needed_bytes()):
            done = _written(task)
    except TooLargeError:  # perhaps only beside others, in a worker of several threads
        with gate.alone():
            done = _written(task)
    if isinstance(target, Url):
        put(near[1], target)
    return done


def _written(task: Task) -> tuple[int, int, bool]:
    job = begin(task)
    return *job.write(), job.flattened


@lru_cache(KEPT)
def _runner(network: Network) -> Runner:
    runner = runner_for(network.model, network.scale, network.engine)
    if runner.digest != network.digest:
        raise ClusterError(
            f"{_name()} has other weights at {network.model} than this machine; name a file that all of them share"
        )
    return runner


def _gate() -> Gate:
    """The gate for the pictures of this process, which is held to the memory that its Dask worker may take."""
    with _beginning:
        if not _gates:
            limit = _limit()
            hold_to(None if limit is None else int(limit * SHARE))
            _gates.append(Gate(available_bytes()))
        return _gates[0]


def _worker() -> Any:
    """The Dask worker that this is; None in any other process."""
    try:
        from distributed import get_worker

        return get_worker()
    except (ImportError, ValueError):
        return None


def _name() -> str:
    """What this worker is called in a sentence."""
    address = getattr(_worker(), "address", None)
    return f"the worker at {address}" if address else "a worker"


def _limit() -> int | None:
    return getattr(getattr(_worker(), "memory_manager", None), "memory_limit", None) or None


def _kind(error: NpbsrnError) -> str:
    """The name of the class of an error, or of the one above it that the package's `errors` has."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == NpbsrnError.__module__)


class _Folder:
    """A folder on this machine for copies of what lies in stores; made when it is first needed."""

    def __init__(self, held: ExitStack) -> None:
        self._held = held

    def near(self, place: Place, part: str) -> Path:
        """A path on this machine that stands for a place: itself, if it is one."""
        if isinstance(place, Path):
            return place
        # In the worker's own folder, which Dask removes behind a worker that was killed.
        parent = getattr(_worker(), "local_directory", None)
        folder = Path(self._held.enter_context(tempfile.TemporaryDirectory(prefix=f"npbsrn-{part}-", dir=parent)))
        return folder / place.name


@contextmanager
def _working_folder() -> Iterator[_Folder]:
    with ExitStack() as held:
        yield _Folder(held)


@contextmanager
def _notes() -> Iterator[list[str]]:
    """Keep what this thread warns of while the block runs; other threads may work at other pictures."""
    if warnings.showwarning is not _hear:
        _hear.before = warnings.showwarning  # type: ignore[attr-defined]
        warnings.showwarning = _hear
        warnings.simplefilter("always", UserWarning, append=True)
    notes: list[str] = []
    _here.notes = notes
    try:
        yield notes
    finally:
        _here.notes = None


def _hear(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    notes = getattr(_here, "notes", None)
    if notes is None:
        _hear.before(message, category, filename, lineno, file, line)  # type: ignore[attr-defined]
    else:
        notes.append(str(message))


def _given(notes: list[str], request: Request, copies: dict[Path, Place]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(request.as_given(words, copies) for words in notes))
