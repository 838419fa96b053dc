"""How kernels are compiled, kept and run on several threads."""

import os
import queue
import threading
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

# Numba's file cache looks at the kernel's own file alone, and would keep a kernel whose helper in another file has
# changed.
STAMP = blake2b(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).hexdigest()

# Sums may be reordered, so that they can be done in vectors; everything else follows IEEE 754.
SUMS = {"reassoc", "nsz", "contract"}


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function by Numba, without the GIL, and keep the result on the disk."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        dispatcher = njit(nogil=True, cache=True, **options)(function)
        dispatcher._cache._cache_file._source_stamp = STAMP
        return dispatcher

    return compile_lazily


def thread_count() -> int:
    """``$NPBSRN_NUM_THREADS``, or the number of CPUs that this process may use."""
    if text := os.environ.get("NPBSRN_NUM_THREADS"):
        return max(1, int(text))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_parallel(function: Callable[..., None], workers: int, *args: Any) -> None:
    """Run ``function(worker, workers, barrier, *args)`` for all workers at once, the first of them in this thread.

    Parameters
    ----------
    function : kernel
        It may wait for the others by its `barrier`, so each worker has a thread of its own.
    workers : int
    """
    barrier = np.zeros(1, np.int64)
    others = [_helpers.start(function, worker, workers, barrier, *args) for worker in range(1, workers)]
    function(0, workers, barrier, *args)
    for done in others:
        error = done.get()
        if error is not None:
            raise error


class _Helpers:
    """Threads that wait for work; a helper serves one call at a time."""

    def __init__(self) -> None:
        self._forget()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._idle: queue.SimpleQueue[queue.SimpleQueue[Any]] = queue.SimpleQueue()

    def start(self, *job: Any) -> "queue.SimpleQueue[BaseException | None]":
        try:
            inbox = self._idle.get_nowait()
        except queue.Empty:
            inbox = queue.SimpleQueue()
            threading.Thread(target=self._serve, args=(inbox, self._idle), daemon=True).start()
        done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        inbox.put((job, done))
        return done

    @staticmethod
    def _serve(inbox: "queue.SimpleQueue[Any]", idle: "queue.SimpleQueue[Any]") -> None:
        while True:
            (function, *args), done = inbox.get()
            error = None
            try:
                function(*args)
            except BaseException as raised:
                error = raised
            idle.put(inbox)
            done.put(error)


_helpers = _Helpers()
