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
        first = -store.ctypes.data % ALIGNMENT
        size = store.size - ALIGNMENT
        address = (store.ctypes.data + first, False)
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": address}

    def __del__(self) -> None:
        self.pool.put(self.store)


class _Pool:
    """Memory by size. Where a size is wanted that is not there, the work has changed: what is left over is freed."""

    def __init__(self) -> None:
        self._free: dict[int, list[Array]] = {}
        self._lock = threading.RLock()  # the collector may call `put` in the midst of `get`

    def get(self, size: int) -> _Memory:
        with self._lock:
            there = self._free.get(size)
            if not there:
                self._free.clear()
            store = there.pop() if there else np.empty(size + ALIGNMENT, np.uint8)
        return _Memory(self, store)

    def put(self, store: Array) -> None:
        with self._lock:
            self._free.setdefault(store.size - ALIGNMENT, []).append(store)

    def clear(self) -> None:
        with self._lock:
            self._free.clear()

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
