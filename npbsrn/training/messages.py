"""Messages between processes that MPI connects, none of which is waited for without end."""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from npbsrn.runtime.shards import Sum, summed
from npbsrn.runtime.threads import parts_of

Array = np.ndarray[Any, Any]
SIGN = 1.0  # seconds between two signs of life
SPIN = 2e-3  # seconds in which the others are nearly there, and a rank that waits for them does not sleep
NAP = 1e-4


def connect() -> tuple[Any, Callable[[], Any]]:
    """Begin MPI.

    There, and where MPI ends, it waits for all ranks, and mpi4py keeps Python's lock meanwhile: no clock of ours could
    end that, and no interrupt. So the library's own functions are called, which do without.

    Returns
    -------
    mpi : module
        ``mpi4py.MPI``.
    end : callable
        Ends MPI.

    Raises
    ------
    ImportError
        If mpi4py is missing.
    """
    import mpi4py

    mpi4py.rc.initialize = False
    from mpi4py import MPI

    if MPI.Is_initialized():
        return MPI, MPI.Finalize
    try:
        library = ctypes.CDLL(MPI.__file__)  # and what it is linked to
        begin, end = library.MPI_Init_thread, library.MPI_Finalize
    except (AttributeError, OSError):  # a system that does not look there
        MPI.Init_thread()
        return MPI, MPI.Finalize
    begin(None, None, MPI.THREAD_MULTIPLE, ctypes.byref(ctypes.c_int()))
    MPI.COMM_WORLD.Set_errhandler(MPI.ERRORS_RETURN)  # as mpi4py does, which makes exceptions of them
    return MPI, end


class Messages:
    """What a rank sends to the others, and gets from them; each call is one of all ranks.

    Parameters
    ----------
    mpi : module
        ``mpi4py.MPI``.
    patience : float
        Seconds without a message that is due.
    lost : callable
        Ends all ranks then.
    """

    def __init__(self, mpi: Any, patience: float, lost: Callable[[], NoReturn]) -> None:
        self.patience, self._lost, self._byte = patience, lost, mpi.BYTE
        self.comm, self._sums = mpi.COMM_WORLD.Dup(), mpi.COMM_WORLD.Dup()  # an order of its own for each
        self.size, self.rank = self.comm.Get_size(), self.comm.Get_rank()
        self._lock = threading.Lock()  # of MPI, which is called from the threads of several shards
        self._moving: list[Any] = []  # requests for pieces of gradients

    def begin(self, call: Callable[[], Any]) -> Any:
        """A request to MPI, which is called by one thread at a time."""
        with self._lock:
            return call()

    def wait(self, request: Any) -> None:
        """Wait for the others, but not for ever."""
        start = time.monotonic()
        while True:
            with self._lock:
                if request.Test():
                    return
            waited = time.monotonic() - start
            if waited > self.patience + self.rank * SIGN:  # one after another, so that one of them says it
                self._lost()
            time.sleep(0 if waited < SPIN else NAP)

    def meet(self) -> None:
        """Wait until all ranks are here."""
        self.wait(self.begin(self.comm.Ibarrier))

    def gather(self, own: Array, sizes: list[int]) -> Array:
        """Flat arrays of all ranks, one behind the other.

        Parameters
        ----------
        own : (size,) array
        sizes : list of int
            Numbers of each rank's array.

        Returns
        -------
        everyones : (sum of `sizes`,) array
        """
        everyones = np.empty(sum(sizes), own.dtype)
        spread = _spread(everyones, sizes, self._byte)
        self.wait(self.begin(lambda: self.comm.Iallgatherv(_bytes(own), spread)))
        return everyones

    def tell(self, message: bytes | None) -> bytes:
        """Bytes of the first rank, to all."""
        size = np.array([0 if message is None else len(message)])
        self.wait(self.begin(lambda: self.comm.Ibcast(size)))
        body = np.frombuffer(message, np.uint8).copy() if message is not None else np.empty(size[0], np.uint8)
        self.wait(self.begin(lambda: self.comm.Ibcast(body)))
        return body.tobytes()

    def begin_sum(self, parts: Array, counts: list[int]) -> Sum:
        """Sum (own shards, P) over all, in the order of the shards, wherever they are.

        ``MPI_Allreduce`` leaves the order of additions to the library, which chooses it by the number of ranks. So each
        rank gets one piece of the gradients of all shards, sums it, and all gather the sums: no rank sends more than
        ``MPI_Allreduce`` would by the same pieces, where each has one shard.

        Parameters
        ----------
        parts : (own shards, P) array
        counts : list of int
            Shards of each rank.

        Returns
        -------
        sums : callable
            See `npbsrn.runtime.shards.Exchange.begin_sum`. All ranks begin sums, and call what they get, in one order.
        """
        pieces = parts_of(parts.shape[1], self.size)
        sent = [np.ascontiguousarray(parts[:, first:last]).reshape(-1) for first, last in pieces]
        first, last = pieces[self.rank]
        size = last - first
        received, out = np.empty(sum(counts) * size, parts.dtype), np.empty(parts.shape[1], parts.dtype)
        given = np.concatenate(sent)
        lengths = [part.size for part in sent], [count * size for count in counts]
        both = (_spread(array, own, self._byte) for array, own in zip((given, received), lengths, strict=True))
        with self._lock:  # MPI may move messages on only while it is called
            self._moving = [request for request in self._moving if not request.Test()]
            request = self._sums.Ialltoallv(*both)
            self._moving.append(request)

        def begin() -> Callable[[], Array]:
            self.wait(request)
            own = summed(received.reshape(sum(counts), size))
            spread = _spread(out, [end - begin for begin, end in pieces], self._byte)
            gathered = self.begin(lambda: self._sums.Iallgatherv(_bytes(own), spread))

            def finish() -> Array:
                self.wait(gathered)
                return out

            return finish

        return begin


class Exchange:
    """What the shards of several ranks exchange, see `npbsrn.runtime.shards.Exchange`.

    Parameters
    ----------
    messages : Messages
    counts : list of int
        Shards of each rank.
    """

    def __init__(self, messages: Messages, counts: list[int]) -> None:
        self.messages, self.counts = messages, counts

    def gather(self, parts: Array) -> Array:
        """(own shards, ...) of each rank to (all shards, ...), in their order."""
        size = parts[0].size
        own = np.ascontiguousarray(parts).reshape(-1)
        everyones = self.messages.gather(own, [count * size for count in self.counts])
        return everyones.reshape(sum(self.counts), *parts.shape[1:])

    def begin_sum(self, parts: Array) -> Sum:
        """See `Messages.begin_sum`."""
        return self.messages.begin_sum(parts, self.counts)


def _bytes(array: Array) -> Any:
    return array.view(np.uint8)


def _spread(array: Array, sizes: list[int], kind: Any) -> Any:
    """How MPI takes a flat array of which each rank has a part."""
    counts = np.array(sizes) * array.itemsize
    return [_bytes(array), counts, np.cumsum(counts) - counts, kind]
