"""A Dask cluster to send requests to: one that is there, or one of this machine's own processes."""

import os
import queue
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any

from npbsrn import __version__
from npbsrn.cluster.connecting import CONNECT, Asked, check_scheduler, dask_package, local_cluster, within
from npbsrn.cluster.requests import Outcome, Request, blind, refuse_blind, refuse_version
from npbsrn.cluster.worker import enlarge
from npbsrn.errors import ClusterError, NpbsrnError, PictureError, UsageError
from npbsrn.storage.remote import Place

LOCAL = "local"  # instead of an address
WORKERS = 60  # seconds for its first worker to be there: it may start beside the command
ANSWER = 30  # seconds for all workers to answer a question
CLOSE = 5  # seconds for local workers that have nothing to do
RETRIES = 2  # of a picture whose failure may be the machine's; Dask itself allows for three workers that die of one
POLL = 0.05  # seconds between two looks at whether all is well
ASK = 5.0  # seconds between two looks at whether there are workers
SILENT = 30.0  # seconds without an answer before it is said that the scheduler gives none
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
        news: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures that have ended, and once more when fetched
        futures: dict[Any, int] = {}
        moved: set[int] = set()  # requests that another worker could not do
        outcomes: dict[Any, Asked[Outcome]] = {}  # on their way, for which Dask may wait

        def submit(place: int, rank: int, workers: Sequence[str] | None = None) -> None:
            future = self._submitted(requests[place], place, rank, workers)
            future.add_done_callback(news.put)
            futures[future] = place

        look = _Look(self._client)
        try:
            for rank, place in enumerate(sorted(range(len(requests)), key=lambda place: -sizes[place])):
                submit(place, rank)
            while futures:
                with suppress(queue.Empty):
                    future = news.get(timeout=POLL)
                    place = futures[future]
                    if future in outcomes:
                        del futures[future]
                        yield place, partial(self._result, outcomes.pop(future), requests[place])
                        future.release()
                    elif place not in moved and (workers := self._others_than(future, requests[place])):
                        del futures[future]
                        moved.add(place)
                        submit(place, 0, workers)
                    else:
                        outcomes[future] = Asked(future.result, partial(news.put, future))
                if look.is_lost:
                    raise self._lost()
                watch(look.words())
        finally:
            look.end()
            if futures and not self.is_local:  # whose workers are killed
                with suppress(Exception):  # of a scheduler that is gone
                    within(CLOSE, lambda: self._client.cancel(list(futures), force=True))

    def _submitted(self, request: Request, place: int, rank: int, workers: Sequence[str] | None) -> Any:
        return self._client.submit(
            enlarge, request, key=f"npbsrn-{request.mark}-{place}{'-again' if workers else ''}", pure=False,
            priority=-rank, retries=RETRIES, workers=workers,
        )  # fmt: skip

    def _others_than(self, future: Any, request: Request) -> list[str]:
        """The workers that will do, for a request that one refused which will not; none if it was refused for good."""
        error = future.exception() if future.status == "error" else None
        if not isinstance(error, ClusterError) or blind(request):
            return []
        with suppress(TimeoutError):
            if workers := self._fitting():
                self._say_once(f"{error}; its pictures go to others")
                return workers
        return []

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
        """The workers that have this version, and see what is shared."""
        versions, absent = self._asked(VERSION), self._asked(ABSENT.format(self.shared))
        return [where for where, version in versions.items() if version == __version__ and absent.get(where) == []]

    def _asked(self, question: str) -> dict[str, Any]:
        """What all workers answer, by their addresses; be it an error."""
        answers: dict[str, Any] = within(ANSWER, lambda: self._client.run(eval, question, on_error="return"))
        return answers

    def _close(self) -> None:
        with suppress(TimeoutError):
            self._local.close(timeout=CLOSE)


class _Look:
    """The workers that a scheduler has, asked for now and then by a thread, as it may never answer."""

    def __init__(self, client: Any) -> None:
        self._client, self._over = client, threading.Event()
        self._heard, self.is_lost = time.monotonic(), False
        self._seen = {"": 0.0}  # when each worker has last given a sign, by the scheduler's clock
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        while not self._over.wait(ASK):
            try:
                workers = self._client.scheduler_info(n_workers=-1)["workers"]
            except Exception:
                self.is_lost = not self._over.is_set()
                return
            self._seen = {where: float(worker["last_seen"]) for where, worker in workers.items()}
            self._heard = time.monotonic()

    def words(self) -> str:
        """What work waits for."""
        if time.monotonic() - self._heard > ASK + SILENT:
            return "the scheduler does not answer; waiting for it"
        if not self._seen:
            return "all workers are gone; waiting for others"
        latest = max(self._seen.values())
        if silent := [where for where, seen in self._seen.items() if latest - seen > SILENT]:
            return f"the worker at {silent[0]} does not answer; waiting for it, or until Dask gives it up"
        return ""

    def end(self) -> None:
        """Ask no more."""
        self._over.set()


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
