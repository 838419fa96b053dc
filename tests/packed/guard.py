"""Arrays that end where a page begins that nobody may touch: who reads or writes beyond one is ended by the system."""

import ctypes
import mmap

import numpy as np

_PAGE, _NONE, _BOTH = mmap.PAGESIZE, 0, 3  # no access; reading and writing
_c = ctypes.CDLL(None, use_errno=True)
_c.mmap.restype = ctypes.c_void_p
_c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_c.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class _Guarded:
    def __init__(self, size):
        inside = -(-size // _PAGE) * _PAGE
        self.size = inside + _PAGE
        self.start = _c.mmap(None, self.size, _BOTH, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        assert self.start not in (None, ctypes.c_void_p(-1).value)
        assert _c.mprotect(self.start + inside, _PAGE, _NONE) == 0
        ctypes.memset(self.start, 0xFF, inside)  # NaN, which would be seen in a result
        place = self.start + inside - size, False
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": place}

    def __del__(self):
        _c.munmap(self.start, self.size)


def empty(shape, dtype):
    """As `npbsrn.runtime.buffers.empty`."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.asarray(_Guarded(size)).view(dtype).reshape(shape) if size else np.empty(shape, dtype)
