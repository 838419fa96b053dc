"""Threads: how many there are, and how they get their work."""

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from npbsrn.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

SHARDS = 4  # of a batch: fixed, so that sums over its parts do not depend on the number of threads
GIVEN_UP = 1 << 40  # in a barrier: one of the workers has failed, and the others are not to wait for it
# `busy` in `map_parallel`: work that is given out there is done where it is; `most`: see `limited`
_inside = threading.local()


def thread_count() -> int:
    """``$NPBSRN_NUM_THREADS``, or the number of CPUs that this process may use; less where it is `limited`.

    Raises
    ------
    UsageError
        If the variable is not a whole number above 0.
    """
    if most := getattr(_inside, "most", None):
        return int(most)
    if text := os.environ.get("NPBSRN_NUM_THREADS"):
        if not text.isdecimal() or int(text) == 0:
            raise UsageError(f"NPBSRN_NUM_THREADS must be a whole number above 0, not {text!r}")
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def limited(most: int) -> Iterator[None]:
    """Let `thread_count` be this in this thread while the block runs."""
    before, _inside.most = getattr(_inside, "most", None), most
    try:
        yield
    finally:
        _inside.most = before


def parts_of(count: int, parts: int) -> list[tuple[int, int]]:
    """First, and behind the last, of `count` things in each of some parts; parts may be empty."""
    return [(count * part // parts, count * (part + 1) // parts) for part in range(parts)]


def quiet_blas() -> Any:
    """Context with one thread for BLAS.

    BLAS's worker threads wait in a busy loop after each call, and would starve the threads of this module.
    """
    return threadpool_limits(1, "blas")


def map_parallel(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    threads: int | None = None,
    watch: Callable[[int], None] | None = None,
) -> list[Result]:
    """``[function(item) for item in items]`` by several threads; within such a call, by one.

    Parameters
    ----------
    function : callable
    items : iterable
    threads : int, optional
        By default `thread_count()`.
    watch : callable, optional
        Called in this thread behind each item, with the number of items that are done. If it raises, no further item
        is begun.
    """
    work = list(items)
    workers = min(threads or thread_count(), len(work))
    results: list[Any] = [None] * len(work)
    if workers <= 1 or getattr(_inside, "busy", False):
        for place, item in enumerate(work):
            results[place] = function(item)
            if watch:
                watch(place + 1)
        return results
    places = iter(range(len(work)))
    news: queue.SimpleQueue[bool] = queue.SimpleQueue()  # an item is done, or a worker has ended

    def serve(worker: int, workers: int, barrier: Any) -> None:
        _inside.busy = True
        try:
            for place in places:  # each place goes to one thread: a range's iterator is atomic under the GIL
                if barrier[0] >= GIVEN_UP:
                    return
                results[place] = function(work[place])
                news.put(True)
        finally:
            _inside.busy = False
            news.put(False)

    def follow(watch: Callable[[int], None]) -> None:
        ended = done = 0
        while ended < workers:
            if news.get():
                done += 1
                watch(done)
            else:
                ended += 1

    run_parallel(serve, workers, meanwhile=partial(follow, watch) if watch else None)
    return results


def run_parallel(
    function: Callable[..., None], workers: int, *args: Any, meanwhile: Callable[[], None] | None = None
) -> None:
    """Run ``function(worker, workers, barrier, *args)`` for all workers at once, the first of them in this thread.

    Parameters
    ----------
    function : callable
        A kernel may wait for the others by its `barrier`, an array of one zero: each worker has a thread of its own.
        When a worker fails, `GIVEN_UP` is put there, and the others' results do not matter.
    workers : int
    meanwhile : callable, optional
        What this thread does while all workers have threads of their own. If it fails, so does the whole.
    """
    barrier = np.zeros(1, np.int64)
    others = []

    def guarded(worker: int) -> None:
        try:
            function(worker, workers, barrier, *args)
        except BaseException:
            barrier[0] = GIVEN_UP
            raise

    try:
        for worker in range(0 if meanwhile else 1, workers):
            others.append(_helpers.start(guarded, worker))
        if meanwhile:
            meanwhile()
        else:
            function(0, workers, barrier, *args)
    except BaseException:
        barrier[0] = GIVEN_UP
        raise
    finally:
        errors = [done.get() for done in others]
    for error in errors:
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
            del function, args  # an idle helper holds no arrays
            idle.put(inbox)
            done.put(error)


_helpers = _Helpers()
