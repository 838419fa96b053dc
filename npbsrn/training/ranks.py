"""Processes that train one network together: by MPI where `mpiexec` has begun several, otherwise one alone."""

import atexit
import contextlib
import functools
import logging
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import numpy as np

from npbsrn.errors import UsageError, in_words, printable
from npbsrn.runtime.interrupts import among_others, say_at_once
from npbsrn.runtime.shards import Shards
from npbsrn.runtime.threads import limited, parts_of, thread_count
from npbsrn.training.alone import Alive, Alone
from npbsrn.training.messages import SIGN, Exchange, Messages, connect

LOG = logging.getLogger("npbsrn")
Array = np.ndarray[Any, Any]
Result = TypeVar("Result")
SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")  # what mpiexec and srun say of the processes
NUMBERS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
PATIENCE = 600.0  # seconds without a sign of the others before a rank ends all; $NPBSRN_PATIENCE
LOST = "no sign of the other ranks for {:g} seconds; --resume goes on"
PASSING = 0.5  # seconds in which mpiexec passes words on, which it drops when it ends the ranks


class Ranks(Alone):
    """One of several processes that MPI connects.

    Every wait has an end: a rank that gets no sign of the others for `patience` seconds ends all of them. So does one
    that fails. Only the first rank writes files, so the last checkpoint stays whole.

    MPI itself waits without end only where it begins and ends: there a clock of our own ends the process.

    Parameters
    ----------
    patience : float
        Seconds.
    """

    def __init__(self, patience: float) -> None:
        os.environ.setdefault("MPIR_CVAR_SUPPRESS_ABORT_MESSAGE", "1")  # of MPICH: a rank that fails has said why
        self.patience = patience
        with self._clock():
            try:
                self._mpi, self._end_mpi = connect()
            except ImportError:
                raise UsageError(
                    "training by several processes needs mpi4py; pip install 'npbsrn[mpi]', or start one process"
                ) from None
            self.messages = Messages(self._mpi, patience, self._end_lost)
            self.size, self.rank = self.messages.size, self.messages.rank
            self._threads, self._near = self._machine()
        atexit.register(self._finalize)
        self.first = self.rank == 0
        if self.size == 1:
            raise UsageError(
                "several processes were started, but MPI does not connect them; mpi4py needs the MPI of this mpiexec, "
                "and srun --mpi=pmi2 or --mpi=pmix"
            )
        self._said, self._agreed = time.monotonic(), False  # the last sign of life; whether all are interrupted

    # --- what ranks say to each other ---

    def each(self, work: Callable[[Alive], Result]) -> Result:
        """See `Alone.each`; all ranks come here, and go on when all are done."""
        result = work(self._alive)
        while not self._all(True):
            pass
        return result

    def lead(self, work: Callable[[Alive], Result]) -> Result:
        """See `Alone.lead`; the others wait, and get the result."""
        if self.first:
            result = self.each(work)
            self.messages.tell(pickle.dumps(result))
            return result
        self.each(lambda alive: None)
        return pickle.loads(self.messages.tell(None))  # of the first rank

    def _alive(self) -> None:
        """Give a sign of life, and get those of the others."""
        if time.monotonic() - self._said >= SIGN:
            self._all(False)

    def _all(self, done: bool) -> bool:
        """Whether all ranks are done."""
        found = self.messages.gather(np.array([done]), [1] * self.size)
        self._said = time.monotonic()
        return bool(found.all())

    def interrupted(self, flag: bool) -> bool:
        """See `Alone.interrupted`."""
        self._agreed = bool(self.messages.gather(np.array([flag]), [1] * self.size).any())
        return self._agreed

    def refuse_drift(self, digest: bytes) -> None:
        """See `Alone.refuse_drift`: CPUs of different kinds may round otherwise."""
        own = np.frombuffer(digest, np.uint8)
        if len({row.tobytes() for row in self.messages.gather(own, [own.size] * self.size).reshape(self.size, -1)}) > 1:
            raise UsageError("the ranks no longer have the same weights; run them on CPUs of one kind, and resume")

    # --- what shards exchange ---

    def divide(self, shards: int, synchronize: bool) -> Shards | None:
        """See `Alone.divide`."""
        parts = parts_of(shards, self.size)
        return Shards(
            shards, parts[self.rank], Exchange(self.messages, [last - first for first, last in parts]), synchronize
        )

    def share(self, shards: int) -> float:
        """See `Alone.share`; of several ranks some may have one shard more than others."""
        parts = parts_of(shards, self.size)
        return sum(parts[rank][1] - parts[rank][0] for rank in self._near) / shards

    # --- how they begin and end ---

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """See `Alone.together`: what ends one rank ends all, and is said once."""
        self._agreed = False
        try:
            with limited(self._threads), among_others(self._turn(), self._leave):
                yield
            self.messages.meet()
        except KeyboardInterrupt as interrupt:
            code = 128 + getattr(interrupt, "number", signal.SIGINT)
            if not self._agreed:
                time.sleep(self._turn())
                self._end(f"interrupted{interrupt}", code)
            if self.first:
                raise
            sys.exit(code)
        except BaseException as error:
            time.sleep(self._turn())
            known = in_words(error)
            if not known:
                LOG.debug("unexpected", exc_info=error)
            words, code = known or (f"unexpected {type(error).__name__} on rank {self.rank}: {error}", 1)
            self._end(words, code)

    def _turn(self) -> float:
        """Seconds before this rank speaks: what several find the first of them says, and ends all."""
        return 2 * PASSING * min(self.rank, 10)

    def _end(self, words: str, code: int) -> NoReturn:
        """Say why, and end all ranks."""
        say_at_once(printable(words))
        self._leave(code)

    def _end_lost(self) -> NoReturn:
        self._end(LOST.format(self.patience), 1)

    def _leave(self, code: int) -> NoReturn:
        """End all ranks."""
        time.sleep(PASSING)
        self._mpi.COMM_WORLD.Abort(code)
        os._exit(code)  # MPI may take its time to end this one

    @contextlib.contextmanager
    def _clock(self) -> Iterator[None]:
        """End this process if the block takes longer than there is patience for."""
        clock = threading.Timer(self.patience, self._lose)
        clock.daemon = True
        with contextlib.suppress(RuntimeError):  # at its end, Python 3.12.0 and 3.12.1 begin no thread
            clock.start()
        try:
            yield
        finally:
            clock.cancel()

    def _lose(self) -> None:
        say_at_once(LOST.format(self.patience))
        time.sleep(PASSING)
        os._exit(1)

    def _finalize(self) -> None:
        with self._clock():
            self._end_mpi()

    def _machine(self) -> tuple[int, list[int]]:
        """Threads of this rank, and the ranks of this machine.

        These share its CPUs, unless each has CPUs of its own.
        """
        near = self.messages.comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        ranks, sets = zip(*near.allgather((self.rank, own)), strict=True)
        near.Free()
        if "NPBSRN_NUM_THREADS" in os.environ or not sets[0]:
            return thread_count(), list(ranks)
        return max(1, len(set.union(*sets)) // len(sets)), list(ranks)


def is_one_of_several() -> bool:
    """Whether `mpiexec`, or a batch system, has begun several processes together."""
    return any(os.environ.get(name, "1") != "1" for name in SIZES)


def is_first() -> bool:
    """Whether this process is the first of those that were begun together, before MPI connects them."""
    return not is_one_of_several() or all(os.environ.get(name, "0") == "0" for name in NUMBERS)


@functools.cache
def find_ranks() -> Alone:
    """The ranks of this training: several where `mpiexec`, or a batch system, has begun several processes.

    Raises
    ------
    UsageError
        If mpi4py is missing then, or ``$NPBSRN_PATIENCE`` is not a number of seconds.
    """
    if not is_one_of_several():
        return Alone()
    text = os.environ.get("NPBSRN_PATIENCE", str(PATIENCE))
    try:
        patience = float(text)
    except ValueError:
        patience = 0
    if not 0 < patience < float("inf"):
        raise UsageError(f"NPBSRN_PATIENCE must be a number of seconds above 0, not {text!r}")
    return Ranks(patience)
