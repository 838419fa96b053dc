"""Several pieces of work at once, each from its beginning to its end in a thread of its own."""

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")


def lanes_of(threads: int) -> tuple[int, int]:
    """How many pieces of work go on at once on this many CPUs, and how many threads each has for what it shares out.

    What a piece of work does by one thread, as reading and writing a file, would leave the other threads without work.
    So there are many lanes of few threads, and a few more where each has several. But not as many as CPUs, as each
    takes memory, and the last ones would end at different times.

    Examples
    --------
    >>> [lanes_of(threads) for threads in (1, 2, 4, 8, 16, 64)]
    [(1, 1), (2, 1), (4, 1), (5, 2), (10, 2), (15, 5)]
    """
    each = max(1, math.isqrt(threads // 2))
    lanes = threads // each
    return lanes + (lanes // 4 if each > 1 else 0), each


def in_lanes(work: Callable[[Item, int], Any], items: Sequence[Item], threads: int, stop: threading.Event) -> Any:
    """Do ``work(item, threads)`` for all items; yields what becomes of each, in order.

    Parameters
    ----------
    work : callable
        Of an item, and of how many threads it may use: more for the last ones, which are alone.
    items : sequence
    threads : int
        For all of them.
    stop : Event
        Set when the caller leaves early, so that `work` may end, too.

    Yields
    ------
    item, future
        ``future.result()`` is what `work` returned, or raises.
    """
    lanes, each = lanes_of(threads)
    lanes = min(lanes, len(items))
    begun = iter(range(len(items)))  # atomic under the GIL

    def serve(item: Item) -> Any:
        left = len(items) - next(begun)
        return work(item, max(each, threads // left))

    waiting: deque[tuple[Item, Future[Any]]] = deque()
    with ThreadPoolExecutor(max(1, lanes)) as pool:
        try:
            waiting.extend((item, pool.submit(serve, item)) for item in items)
            while waiting:
                item, future = waiting.popleft()
                future.exception()  # waits
                yield item, future
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Gate:
    """Lets pieces of work begin while there is memory for all of them; one that needs all goes on alone.

    Parameters
    ----------
    capacity : int, optional
        Bytes; None if nobody knows.
    """

    def __init__(self, capacity: int | None) -> None:
        self.capacity, self.used, self.inside, self.shut = capacity, 0, 0, False
        self._changed = threading.Condition()

    @contextmanager
    def holding(self, need: int) -> Iterator[None]:
        """Wait until `need` bytes can be had, and have them while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self.inside or (self._fits(need) and not self.shut))
            self.used += need
            self.inside += 1
        try:
            yield
        finally:
            with self._changed:
                self.used -= need
                self.inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until nobody else is inside, and be alone there while the block runs."""
        with self._changed:
            self._changed.wait_for(lambda: not self.inside)
            self.inside, self.shut = 1, True
        try:
            yield
        finally:
            with self._changed:
                self.inside, self.shut = 0, False
                self._changed.notify_all()

    def _fits(self, need: int) -> bool:
        return self.capacity is None or self.used + need <= self.capacity
