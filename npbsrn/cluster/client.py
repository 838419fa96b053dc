"""A Dask cluster to send requests to: one that is there, or one of this machine's own processes."""

import asyncio
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any

from npbsrn import __version__
from npbsrn.cluster.requests import Outcome, Request, refuse_version
from npbsrn.cluster.worker import enlarge
from npbsrn.errors import ClusterError, PictureError, UsageError

CURE = "pip install 'npbsrn[dask]'"
LOCAL = "local"  # instead of an address
PAGES = "127.0.0.1:0"
# A terminal sends Ctrl-C to the workers, too; they would say so at length, and others be started in their place.
PRELOAD = ["import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"]
# Dask's own has MALLOC_TRIM_THRESHOLD_=65536, too, by which memory is given back and asked for again with every array:
# that takes system time with every picture.
ENVIRONMENT = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1}
CONNECT = 5  # seconds for a scheduler to answer
WORKERS = 60  # seconds for its first worker to be there: it may start beside the command
CLOSE = 5  # seconds for local workers that have nothing to do
RETRIES = 2  # of a picture whose failure may be the machine's; Dask itself allows for three workers that die of one
POLL = 0.05  # seconds between two looks at what is done
ASK = 5.0  # seconds between two looks at whether there are workers
# A built-in function, which any worker knows, whatever version of Python and of this package it has, or none. A worker
# would end by a request that it cannot read, and so would all that it is sent to after that.
VERSION = eval, "__import__('npbsrn').__version__"
HAS_PART = eval, "__import__('npbsrn.cluster') and True"


class Cluster:
    """The workers of a scheduler, while the context is open.

    Parameters
    ----------
    address : str
        Of a scheduler, such as ``tcp://host:8786``; or "local", for workers on this machine that end with the context.
    workers : int
        How many, of "local".

    Raises
    ------
    ClusterError
        If Dask is missing, the scheduler does not answer or has no workers, or these have another version of npbsrn.
    """

    def __init__(self, address: str, workers: int) -> None:
        self.address, self.count = address, workers
        self._held = ExitStack()
        self._client: Any = None
        self._local: Any = None

    def __enter__(self) -> "Cluster":
        distributed = _distributed()
        try:
            address: Any = self.address
            if address == LOCAL:
                self._local = address = _local_cluster(distributed, self.count)
                self._held.callback(self._close)
            self._client = self._connected(distributed, address)
            self._held.callback(self._client.close)
            self._check_workers()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        if kind is None or not self.is_local:
            self._held.close()
            return
        # Of workers that were killed, Dask may wait for ever; this process ends soon, and all of theirs with it.
        thread = threading.Thread(target=self._held.close, daemon=True)
        thread.start()
        thread.join(CLOSE)

    @property
    def is_local(self) -> bool:
        """Whether the workers are this process's own, which nobody else's work is lost with."""
        return self._local is not None

    def results(
        self, requests: Sequence[Request], sizes: Sequence[float], watch: Callable[[bool], None]
    ) -> Iterator[tuple[int, Callable[[], Outcome]]]:
        """Have all requests carried out, the largest first.

        Parameters
        ----------
        requests : sequence of Request
        sizes : sequence of float
            Of their pictures, in any unit.
        watch : callable
            Called many times a second, with whether there are workers. What it raises ends the work.

        Yields
        ------
        place, result
            Of a request, as each ends; ``result()`` returns its outcome, or raises.
        """
        order = sorted(range(len(requests)), key=lambda place: -sizes[place])
        futures = {
            self._client.submit(
                enlarge, requests[place], key=f"npbsrn-{requests[place].mark}-{place}", pure=False,
                priority=-rank, retries=RETRIES,
            ): place
            for rank, place in enumerate(order)
        }  # fmt: skip
        try:
            finished: Any = _distributed().as_completed(futures, loop=self._client.loop)
            asked, there = time.monotonic(), True
            while finished.count():
                for future in finished.next_batch(block=False):
                    place = futures.pop(future)
                    yield place, partial(self._result, future, requests[place])
                    future.release()
                if time.monotonic() - asked > ASK:
                    there, asked = self._has_workers(), time.monotonic()
                watch(there)
                time.sleep(POLL)
        finally:
            if futures and not self.is_local:  # whose workers are killed
                with suppress(Exception):  # of a scheduler that is gone
                    self._client.cancel(list(futures), force=True)

    def kill(self) -> None:
        """End local workers at once, whatever they are at; others finish the picture that they are at."""
        for nanny in getattr(self._local, "workers", {}).values():
            nanny.auto_restart = False
            with suppress(OSError, TypeError):  # one that has ended, or has not begun
                os.kill(nanny.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _result(self, future: Any, request: Request) -> Outcome:
        from distributed import KilledWorker

        try:
            outcome: Outcome = future.result()
            return outcome
        except KilledWorker:
            raise PictureError(
                f"{request.source}: several workers have ended while they were at it, perhaps for lack of memory; "
                "give workers more memory, or this picture alone"
            ) from None
        except CancelledError:
            raise self._lost() from None

    def _lost(self) -> ClusterError:
        return ClusterError(f"the scheduler at {self.address} is gone; the same command goes on with the others")

    def _connected(self, distributed: Any, address: Any) -> Any:
        """A client of a scheduler."""
        if isinstance(address, str):
            _check_form(address)
            if reason := _within(2 * CONNECT, lambda: asyncio.run(_why_not(distributed, address))):
                raise ClusterError(
                    f"there is no Dask scheduler at {self.address} ({reason}); start one by `dask scheduler`, "
                    "or give --dask local"
                )
        return distributed.Client(address, timeout=CONNECT, set_as_default=False)

    def _check_workers(self) -> None:
        """Wait for workers, and refuse those that lack this package or have another version of it."""
        try:
            self._client.wait_for_workers(1, timeout=WORKERS)
        except TimeoutError:
            raise ClusterError(
                f"the scheduler at {self.address} has no workers; start some by `dask worker {self.address} "
                "--nthreads 1`"
            ) from None
        for version in self._asked(VERSION):
            refuse_version(version, __version__)
        self._asked(HAS_PART)

    def _asked(self, question: tuple[Callable[..., Any], str]) -> list[Any]:
        """What all workers answer."""
        answers = self._client.run(*question, on_error="return")
        for where, answer in answers.items():
            if isinstance(answer, ImportError):
                raise ClusterError(
                    f"the worker at {where} lacks npbsrn ({answer}); install npbsrn {__version__} on all machines"
                )
        return [answer for answer in answers.values() if not isinstance(answer, Exception)]  # of one that has ended

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.scheduler_info()["workers"])
        except Exception:
            raise self._lost() from None

    def _close(self) -> None:
        with suppress(TimeoutError):
            self._local.close(timeout=CLOSE)


def check_address(address: str) -> None:
    """Refuse an empty address, and what Dask is missing for."""
    if not address.strip():
        raise UsageError("--dask names no scheduler; give tcp://HOST:PORT, or local")
    _distributed()


def _local_cluster(distributed: Any, workers: int) -> Any:
    """Workers on this machine, with pages about them for this machine only, at ports that are free."""
    import dask

    with dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT}):
        return distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, silence_logs=logging.CRITICAL, preload=PRELOAD,
            dashboard_address=PAGES, worker_dashboard_address=PAGES,
        )  # fmt: skip


def _check_form(address: str) -> None:
    """Refuse what is no address."""
    from distributed.comm import addressing
    from distributed.comm.registry import get_backend

    try:
        scheme, location = addressing.parse_address(address)
        get_backend(scheme)
        addressing.parse_host_port(location)
    except ValueError as error:
        raise ClusterError(f"--dask {address}: {error}; give tcp://HOST:PORT, or local") from None


async def _why_not(distributed: Any, address: str) -> str:
    """Why no scheduler can be had at an address; empty if one answers.

    Asked before there is a client: one that fails says more, and later.
    """
    options = distributed.Security().get_connection_args("client")
    try:
        comm = await distributed.comm.connect(address, timeout=CONNECT, **options)
        try:
            kind = (await asyncio.wait_for(distributed.core.send_recv(comm, op="identity"), CONNECT))["type"]
        finally:
            comm.abort()
    except OSError as error:  # TimeoutError, too
        return _first_line(error)
    except Exception:  # of bytes that mean something else
        return "what answers there is none"
    return "" if kind == "Scheduler" else f"it is a Dask {kind.lower()}"


def _within(seconds: float, ask: Callable[[], str]) -> str:
    """An answer, if it comes in time: Dask waits for ever for some servers that are none of its."""
    answers: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(ask()), daemon=True).start()
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        return f"no answer within {seconds:g} s"


def _distributed() -> Any:
    """Dask's package, which says nothing by itself: what goes wrong is one sentence, and comes from here."""
    try:
        import distributed
    except ImportError:
        raise UsageError(f"--dask needs more packages: {CURE}") from None
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return distributed


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
