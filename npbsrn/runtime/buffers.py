"""Large arrays whose memory is reused in every step."""

import math
import os
import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


class _Memory:
    """A piece of memory that goes back to its pool when the last array in it is gone."""

    def __init__(self, pool: "_Pool", store: Array) -> None:
        self.pool, self.store = pool, store
        begin, size = store.ctypes.data, store.size - ALIGNMENT
        address = (begin + -begin % ALIGNMENT, False)
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": address}

    def __del__(self) -> None:
        self.pool.put(self.store)


class _Pool:
    """Memory by size, for whoever wants a piece of that size next.

    A step wants many sizes, some of them in turn: what is free of one size is kept where another one is wanted. Only as
    much is freed, the longest unused first, as keeps the whole, in use and free, within the most that was ever in use
    at once and an eighth more. So all of a step's memory is there in the next step, and little else.
    """

    def __init__(self) -> None:
        self._free: dict[int, list[tuple[int, Array]]] = {}  # when it came back, in the order of time
        self._lock = threading.RLock()  # the collector may call `put` in the midst of `get`
        self._clock = self._used = self._most = 0

    def get(self, size: int) -> _Memory:
        with self._lock:
            there = self._free.get(size)
            self._used += size
            self._most = max(self._most, self._used)
            if there:
                store = there.pop()[1]  # the newest: part of it may still be in the caches
            else:
                self._make_room()
                store = np.empty(size + ALIGNMENT, np.uint8)
        return _Memory(self, store)

    def _make_room(self) -> None:
        spare = self._most + self._most // 8 - self._used - self.held()
        while spare < 0:
            waiting = {size: pieces[0][0] for size, pieces in self._free.items() if pieces}
            if not waiting:
                return
            oldest = min(waiting, key=lambda size: waiting[size])
            self._free[oldest].pop(0)
            spare += oldest

    def put(self, store: Array) -> None:
        with self._lock:
            size = store.size - ALIGNMENT
            self._clock += 1
            self._used -= size
            self._free.setdefault(size, []).append((self._clock, store))

    def clear(self) -> None:
        with self._lock:
            self._free.clear()
            self._most = self._used

    def held(self) -> int:
        with self._lock:
            return sum(size * len(stores) for size, stores in self._free.items())

    def after_fork(self) -> None:  # another thread of the parent may have held the lock
        self._lock = threading.RLock()


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.after_fork)


def clear() -> None:
    """Give the memory that waits for the next array back to the system: when a run ends, nobody will ask for it."""
    _pool.clear()


def held() -> int:
    """Bytes that wait for the next array."""
    return _pool.held()


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """As `numpy.empty`, from memory that is kept for the next array of this size once nobody holds this one.

    The operating system clears each page that it hands out: for the arrays of a training step that took a tenth of the
    step's time. They begin on a boundary of 64 bytes.
    """
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    return np.asarray(_pool.get(size)).view(kind).reshape(shape)
