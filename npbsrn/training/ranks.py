"""Processes that train one network together: by MPI where `mpiexec` has begun several, otherwise one alone."""

import contextlib
import functools
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from npbsrn.errors import NpbsrnError, UsageError, printable
from npbsrn.runtime.interrupts import above_bars
from npbsrn.runtime.shards import Here, Shards, summed
from npbsrn.runtime.threads import limited, parts_of, thread_count

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")
Alive = Callable[[], None]

SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # what mpiexec and srun say of the processes
PATIENCE = 600.0  # seconds without a sign of the others before a rank ends all; $NPBSRN_PATIENCE
SIGN = 1.0  # seconds between two signs of life
SPIN = 2e-3  # seconds in which the others are nearly there, and a rank that waits for them does not sleep
NAP = 1e-4
PASSING = 0.5  # seconds in which mpiexec passes words on, which it drops when it ends the ranks


class Alone:
    """A process that trains by itself."""

    size, rank, first = 1, 0, True

    def lead(self, work: Callable[[Alive], Result]) -> Result:
        """What the first rank makes of `work`, which it does for all; `work` gets a function for signs of life."""
        return work(lambda: None)

    def interrupted(self, flag: bool) -> bool:
        """Whether one of the ranks is interrupted, and so are all."""
        return flag

    def refuse_drift(self, digest: bytes) -> None:
        """Refuse to go on where ranks do not have the same weights."""

    def divide(self, shards: int, synchronize: bool) -> Shards | None:
        """The shards of this rank; None where a batch is not divided."""
        return Shards(shards, synchronize=synchronize) if shards > 1 else None

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Context of all that the ranks do."""
        yield


class Ranks(Alone):
    """One of several processes that MPI connects.

    Every wait has an end: a rank that gets no sign of the others for `patience` seconds ends all of them. So does one
    that fails. Only the first rank writes files, so the last checkpoint stays whole.

    Parameters
    ----------
    patience : float
        Seconds.
    """

    def __init__(self, patience: float) -> None:
        os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # of MPICH: a rank that fails has said why
        try:
            from mpi4py import MPI
        except ImportError:
            raise UsageError(
                "training by several processes needs mpi4py; pip install 'npbsrn[mpi]', or start one process"
            ) from None
        self._mpi, self.patience = MPI, patience
        self.comm, self._sums = MPI.COMM_WORLD.Dup(), MPI.COMM_WORLD.Dup()  # an order of its own for each
        self.size, self.rank = self.comm.Get_size(), self.comm.Get_rank()
        self.first = self.rank == 0
        if self.size == 1:
            raise UsageError(
                "several processes were started, but MPI does not connect them; mpi4py needs the MPI of this mpiexec"
            )
        self._lock = threading.Lock()  # of MPI, which is called from the threads of several shards
        self._said, self._agreed = time.monotonic(), False  # a sign of life; that all are interrupted

    # --- what ranks say to each other ---

    def lead(self, work: Callable[[Alive], Result]) -> Result:
        """See `Alone.lead`; the others wait, and get the result."""
        if self.first:
            result = work(self._alive)
            self._tell(pickle.dumps(result))
            return result
        while not (message := self._tell(None)):
            pass
        return pickle.loads(message)  # of the first rank

    def _alive(self) -> None:
        """Tell the others that the first rank is still at work."""
        with self._lock:
            due = time.monotonic() - self._said >= SIGN
        if due:
            self._tell(b"")

    def _tell(self, message: bytes | None) -> bytes:
        """Bytes of the first rank, to all."""
        size = np.array([0 if message is None else len(message)])
        self._wait(self.comm.Ibcast(size))
        body = np.frombuffer(message, np.uint8).copy() if message is not None else np.empty(size[0], np.uint8)
        if size[0]:
            self._wait(self.comm.Ibcast(body))
        self._said = time.monotonic()
        return body.tobytes()

    def interrupted(self, flag: bool) -> bool:
        """See `Alone.interrupted`."""
        self._agreed = bool(self._gather(np.array([flag]), [1] * self.size).any())
        return self._agreed

    def refuse_drift(self, digest: bytes) -> None:
        """See `Alone.refuse_drift`: CPUs of different kinds may round otherwise."""
        own = np.frombuffer(digest, np.uint8)
        if len({row.tobytes() for row in self._gather(own, [own.size] * self.size).reshape(self.size, -1)}) > 1:
            raise UsageError("the ranks no longer have the same weights; run them on CPUs of one kind, and resume")

    def _gather(self, own: Array, sizes: list[int]) -> Array:
        """Flat arrays of all ranks, one behind the other."""
        everyones = np.empty(sum(sizes), own.dtype)
        with self._lock:
            request = self.comm.Iallgatherv(_bytes(own), _spread(everyones, sizes, self._mpi.BYTE))
        self._wait(request)
        return everyones

    def _wait(self, request: Any) -> None:
        """Wait for the others, but not for ever."""
        start = time.monotonic()
        while True:
            with self._lock:
                if request.Test():
                    return
            waited = time.monotonic() - start
            if waited > self.patience:
                self._end(f"no sign of the other ranks for {self.patience:g} seconds; --resume goes on", 1)
            time.sleep(0 if waited < SPIN else NAP)

    # --- what shards exchange ---

    def divide(self, shards: int, synchronize: bool) -> Shards | None:
        """See `Alone.divide`."""
        parts = parts_of(shards, self.size)
        return Shards(shards, parts[self.rank], _Exchange(self, [last - first for first, last in parts]), synchronize)

    def begin_sum(self, parts: Array, counts: list[int]) -> Callable[[], Array]:
        """Sum (own shards, P) over all, in the order of the shards, wherever they are.

        ``MPI_Allreduce`` leaves the order of additions to the library, which chooses it by the number of ranks. So each
        rank gets one piece of the gradients of all shards, sums it, and all gather the sums: no rank sends more than
        ``MPI_Allreduce`` would by the same pieces, where each has one shard.
        """
        pieces = parts_of(parts.shape[1], self.size)
        sent = [np.ascontiguousarray(parts[:, first:last]).reshape(-1) for first, last in pieces]
        first, last = pieces[self.rank]
        size = last - first
        received, out = np.empty(sum(counts) * size, parts.dtype), np.empty(parts.shape[1], parts.dtype)
        given = np.concatenate(sent)
        with self._lock:
            request = self._sums.Ialltoallv(
                _spread(given, [part.size for part in sent], self._mpi.BYTE),
                _spread(received, [count * size for count in counts], self._mpi.BYTE),
            )

        def finish() -> Array:
            self._wait(request)
            own = summed(received.reshape(sum(counts), size))
            with self._lock:
                gathering = self._sums.Iallgatherv(
                    _bytes(own), _spread(out, [end - begin for begin, end in pieces], self._mpi.BYTE)
                )
            self._wait(gathering)
            return out

        return finish

    # --- how they begin and end ---

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """See `Alone.together`: what ends one rank ends all, and is said once."""
        try:
            with limited(self._threads()):
                yield
        except KeyboardInterrupt as interrupt:
            code = 128 + getattr(interrupt, "number", signal.SIGINT)
            if not self._agreed:
                self._end(f"interrupted{interrupt}", code)
            if self.first:
                raise
            sys.exit(code)
        except NpbsrnError as error:
            if not self.first:
                time.sleep(2 * PASSING)  # what all ranks find the first one says, and ends all
            self._end(str(error), 2)
        except BaseException as error:
            self._end(f"unexpected {type(error).__name__} on rank {self.rank}: {error}", 1)

    def _end(self, words: str, code: int) -> None:
        """Say why, and end all ranks."""
        with contextlib.suppress(OSError, ValueError), above_bars():
            print(f"npbsrn: {printable(words)}", file=sys.stderr, flush=True)
        time.sleep(PASSING)
        self._mpi.COMM_WORLD.Abort(code)

    def _threads(self) -> int:
        """Of this rank: those of the machine divided by its ranks, unless these have CPUs of their own."""
        if "NPBSRN_NUM_THREADS" in os.environ or not hasattr(os, "sched_getaffinity"):
            return thread_count()
        near = self.comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        sets = near.allgather(os.sched_getaffinity(0))
        near.Free()
        return max(1, len(set.union(*sets)) // len(sets))


class _Exchange(Here):
    """What the shards of several ranks exchange, see `npbsrn.runtime.shards.Exchange`."""

    def __init__(self, ranks: Ranks, counts: list[int]) -> None:
        self.ranks, self.counts = ranks, counts

    def gather(self, parts: Array) -> Array:
        size = parts[0].size
        everyones = self.ranks._gather(np.ascontiguousarray(parts).reshape(-1), [count * size for count in self.counts])
        return everyones.reshape(sum(self.counts), *parts.shape[1:])

    def begin_sum(self, parts: Array) -> Callable[[], Array]:
        return self.ranks.begin_sum(parts, self.counts)


def _bytes(array: Array) -> Any:
    return array.view(np.uint8)


def _spread(array: Array, sizes: list[int], kind: Any) -> Any:
    """How MPI takes a flat array of which each rank has a part."""
    counts = np.array(sizes) * array.itemsize
    return [_bytes(array), counts, np.cumsum(counts) - counts, kind]


@functools.cache
def find_ranks() -> Alone:
    """The ranks of this training: several where `mpiexec`, or a batch system, has begun several processes.

    Raises
    ------
    UsageError
        If mpi4py is missing then, or ``$NPBSRN_PATIENCE`` is not a number of seconds.
    """
    if all(os.environ.get(name, "1") == "1" for name in SIZES):
        return Alone()
    text = os.environ.get("NPBSRN_PATIENCE", str(PATIENCE))
    try:
        patience = float(text)
    except ValueError:
        patience = 0
    if not 0 < patience < float("inf"):
        raise UsageError(f"NPBSRN_PATIENCE must be a number of seconds above 0, not {text!r}")
    return Ranks(patience)
