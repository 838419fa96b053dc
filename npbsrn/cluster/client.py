"""A Dask cluster to send requests to: one that is there, or one of this machine's own processes."""

import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any

from npbsrn import __version__
from npbsrn.cluster.connecting import CONNECT, Asked, check_scheduler, dask_package, local_cluster, within
from npbsrn.cluster.look import Look
from npbsrn.cluster.requests import Outcome, Request, blind, refuse_blind, refuse_version
from npbsrn.cluster.work import Work
from npbsrn.cluster.worker import enlarge
from npbsrn.errors import ClusterError, NpbsrnError, PictureError, UsageError
from npbsrn.storage.remote import Place

LOCAL = "local"  # instead of an address
WORKERS = 60  # seconds for its first worker to be there: it may start beside the command
ANSWER = 30  # seconds for all workers to answer a question
CLOSE = 5  # seconds for local workers that have nothing to do
RETRIES = 2  # of a picture whose failure may be the machine's; Dask itself allows for three workers that die of one
# A built-in function, which any worker knows, whatever version of Python and of this package it has, or none. A worker
# would end by a request that it cannot read, and so would all that it is sent to after that.
VERSION = "__import__('npbsrn').__version__"
HAS_PART = "__import__('npbsrn.cluster') and True"
ABSENT = "__import__('npbsrn.cluster.requests', fromlist=['absent']).absent({})"  # once it is known to be this version


class Cluster:
    """The workers of a scheduler, while the context is open.

    Parameters
    ----------
    address : str
        Of a scheduler, such as ``tcp://host:8786``; or "local", for workers on this machine that end with the context.
    workers : int
        How many, of "local".
    shared : sequence of paths or Urls
        Files that all workers must see as this machine does.

    Raises
    ------
    ClusterError
        If Dask is missing, the scheduler does not answer or has no workers, or these have another version of npbsrn, or
        do not see what is shared.
    """

    def __init__(self, address: str, workers: int, shared: Sequence[Place] = ()) -> None:
        self.address, self.count, self.shared = address, workers, tuple(map(str, shared))
        self._held = ExitStack()
        self._client: Any = None
        self._local: Any = None
        self._said: set[str] = set()
        self._sent = count()

    def __enter__(self) -> "Cluster":
        distributed = dask_package()
        try:
            address: Any = self.address
            if address == LOCAL:
                self._local = address = local_cluster(distributed, self.count)
                self._held.callback(self._close)
            else:
                check_scheduler(distributed, address)
            self._client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
            self._held.callback(self._client.close)
            self._check_workers()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._held.close()
            return
        self.kill()
        self._end()

    def _end(self) -> None:
        """Close what is open. For workers that were killed, or hang, Dask may wait for ever; this process ends soon."""
        with suppress(TimeoutError):
            within(CLOSE, self._held.close)

    @property
    def is_local(self) -> bool:
        """Whether the workers are this process's own, which nobody else's work is lost with."""
        return self._local is not None

    def results(
        self, requests: Sequence[Request], sizes: Sequence[float], watch: Callable[[str], None]
    ) -> Iterator[tuple[int, Callable[[], Outcome]]]:
        """Have all requests carried out, the largest first.

        Parameters
        ----------
        requests : sequence of Request
        sizes : sequence of float
            Of their pictures, in any unit.
        watch : callable
            Called many times a second, with what all work waits for; empty if it goes on. What it raises ends the work.

        Yields
        ------
        place, result
            Of a request, as each ends; ``result()`` returns its outcome, or raises.
        """
        work = Work(
            lambda place, rank, workers: self._submitted(requests[place], rank, workers),
            lambda future, place: self._others_than(future, requests[place]),
            self._fitting,
        )
        look = Look(self._client)
        try:
            for rank, place in enumerate(sorted(range(len(requests)), key=lambda place: -sizes[place])):
                work.submit(place, rank)
            while work.futures:
                if ended := work.ended():
                    place, future, outcome = ended
                    yield place, partial(self._result, outcome, requests[place])
                    future.release()
                if look.is_lost:
                    raise self._lost()
                if look.has_news():
                    work.send_anew(look)
                watch(look.words())
        finally:
            look.end()
            if work.futures and not self.is_local:  # whose workers are killed
                with suppress(Exception):  # of a scheduler that is gone
                    within(CLOSE, lambda: self._client.cancel(list(work.futures), force=True))

    def _submitted(self, request: Request, rank: int, workers: list[str] | None) -> Any:
        return self._client.submit(
            enlarge, request, key=f"npbsrn-{request.mark}-{next(self._sent)}", pure=False, priority=-rank,
            retries=RETRIES, workers=workers,
        )  # fmt: skip

    def _others_than(self, future: Any, request: Request) -> list[str]:
        """The workers that will do, for a request that one refused which will not; none if it was refused for good."""
        error = future.exception() if future.status == "error" else None
        if not isinstance(error, ClusterError) or blind(request):
            return []
        if workers := self._fitting():
            self._say_once(f"{error}; its pictures go to others")
        return workers

    def _say_once(self, words: str) -> None:
        if words not in self._said:
            self._said.add(words)
            warnings.warn(words, stacklevel=2)

    def kill(self) -> None:
        """End local workers at once, whatever they are at; others finish the picture that they are at."""
        for nanny in getattr(self._local, "workers", {}).values():
            nanny.auto_restart = False
            with suppress(OSError, TypeError):  # one that has ended, or has not begun
                os.kill(nanny.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _result(self, outcome: Asked[Outcome], request: Request) -> Outcome:
        from distributed import KilledWorker

        try:
            return outcome.answer(0)
        except KilledWorker:
            raise PictureError(
                f"{request.source}: several workers have ended while they were at it, perhaps for lack of memory; "
                "give workers more memory, or this picture alone"
            ) from None
        except CancelledError:
            raise self._lost() from None
        except ClusterError:
            if place := blind(request):  # a picture that is gone
                raise PictureError(f"there is no file {place}") from None
            raise

    def _lost(self) -> ClusterError:
        return ClusterError(f"the scheduler at {self.address} is gone; the same command goes on with the others")

    def _check_workers(self) -> None:
        """Wait for workers, and refuse those that lack this package, have another version of it, or see other files."""
        try:
            within(WORKERS + ANSWER, lambda: self._client.wait_for_workers(1, timeout=WORKERS))
        except TimeoutError:
            raise ClusterError(
                f"the scheduler at {self.address} has no workers; start some by `dask worker {self.address} "
                "--nthreads 1`"
            ) from None
        try:
            for question in (VERSION, HAS_PART, ABSENT.format(self.shared)):
                for where, answer in self._asked(question).items():
                    _refuse(f"the worker at {where}", answer)
        except TimeoutError:
            raise ClusterError(
                f"workers of {self.address} have given no answer for {ANSWER} s; end those that hang, and try again"
            ) from None

    def _fitting(self) -> list[str]:
        """The workers that have this version, and see what is shared; none if they do not answer."""
        try:
            versions, absent = self._asked(VERSION), self._asked(ABSENT.format(self.shared))
        except TimeoutError:
            return []
        return [where for where, version in versions.items() if version == __version__ and absent.get(where) == []]

    def _asked(self, question: str) -> dict[str, Any]:
        """What all workers answer, by their addresses; be it an error."""
        answers: dict[str, Any] = within(ANSWER, lambda: self._client.run(eval, question, on_error="return"))
        return answers

    def _close(self) -> None:
        with suppress(TimeoutError):
            self._local.close(timeout=CLOSE)


def _refuse(worker: str, answer: Any) -> None:
    """Refuse a worker by its answer to one of the questions."""
    if isinstance(answer, ImportError):
        raise ClusterError(f"{worker} lacks npbsrn ({answer}); install npbsrn {__version__} on all machines")
    if isinstance(answer, NpbsrnError):
        raise ClusterError(f"{worker} refuses: {answer}")
    if isinstance(answer, str):  # of one that has ended there is none
        refuse_version(worker, answer, __version__)
    if isinstance(answer, list) and answer:
        refuse_blind(worker, answer[0])


def check_address(address: str) -> None:
    """Refuse an empty address, and what Dask is missing for."""
    if not address.strip():
        raise UsageError("--dask names no scheduler; give tcp://HOST:PORT, or local")
    dask_package()
