"""How a scheduler and its workers are reached, each step within some seconds: Dask itself may wait for ever."""

import asyncio
import logging
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, Generic, TypeVar

from npbsrn.errors import ClusterError, UsageError

Answer = TypeVar("Answer")

CURE = "pip install 'npbsrn[dask]'"
PAGES = "127.0.0.1:0"
CONNECT = 5  # seconds for a scheduler to answer
# Where signals cannot be blocked: a terminal sends Ctrl-C to the workers, too, which would say so at length.
PRELOAD = ["import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"]
# Dask's own has MALLOC_TRIM_THRESHOLD_=65536, too, by which memory is given back and asked for again with every array:
# that takes system time with every picture. So does an arena for each thread, as that of tasks is not the main one.
ENVIRONMENT = {"OMP_NUM_THREADS": 1, "MKL_NUM_THREADS": 1, "OPENBLAS_NUM_THREADS": 1, "MALLOC_ARENA_MAX": 1}
# What Dask looks at by itself, in every process: where each task is, a hundred times a second, which took up to 8 % of
# a worker's time; and whether the event loop is late, fifty times a second.
SELDOM = {"distributed.worker.profile.enabled": False, "distributed.admin.tick.interval": "500ms"}


def dask_package() -> Any:
    """Dask's package, which says nothing by itself: what goes wrong is one sentence, and comes from here."""
    try:
        import distributed
    except ImportError:
        raise UsageError(f"--dask needs more packages: {CURE}") from None
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return distributed


class Asked(Generic[Answer]):
    """A question whose answer a thread waits for.

    Parameters
    ----------
    question : callable
    then : callable, optional
        Called by the thread as soon as there is an answer.
    """

    def __init__(self, question: Callable[[], Answer], then: Callable[[], None] = lambda: None) -> None:
        self._question, self._then = question, then
        self._answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        try:
            self._answers.put((True, self._question()))
        except BaseException as error:
            self._answers.put((False, error))
        self._then()

    def answer(self, seconds: float) -> Answer:
        """The answer, or what the question raises; a TimeoutError if neither comes in time. To be called once."""
        try:
            known, answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise TimeoutError(f"no answer within {seconds:g} s") from None
        if known:
            return answer
        raise answer


def within(seconds: float, question: Callable[[], Answer]) -> Answer:
    """See `Asked.answer`."""
    return Asked(question).answer(seconds)


def check_scheduler(distributed: Any, address: str) -> None:
    """Refuse an address at which there is no scheduler.

    Asked before there is a client: one that fails says more, and later.
    """
    _check_form(address)
    try:
        reason = within(2 * CONNECT, lambda: asyncio.run(_why_not(distributed, address)))
    except TimeoutError as error:
        reason = str(error)
    if reason:
        raise ClusterError(
            f"there is no Dask scheduler at {address} ({reason}); start one by `dask scheduler`, or give --dask local"
        )


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
    """Why no scheduler can be had at an address; empty if one answers."""
    try:
        options = distributed.Security().get_connection_args("client")
    except Exception as error:  # of files that are missing, or hold something else
        return f"the certificates of Dask's configuration cannot be read: {error}"
    if address.startswith("tls:") and options.get("ssl_context") is None:
        return "TLS needs certificates in Dask's configuration, which has none"
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


def _first_line(error: BaseException) -> str:
    """What an error says, in a line."""
    return str(error).strip().split("\n")[0] or type(error).__name__


def local_cluster(distributed: Any, workers: int) -> Any:
    """Workers on this machine, with pages about them for this machine only, at ports that are free."""
    import dask

    with dask.config.set({"distributed.nanny.pre-spawn-environ": ENVIRONMENT, **SELDOM}), _unheard():
        return distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, silence_logs=logging.CRITICAL, preload=PRELOAD,
            dashboard_address=PAGES, worker_dashboard_address=PAGES,
        )  # fmt: skip


@contextmanager
def _unheard() -> Iterator[None]:
    """Let processes that begin in the block hear no Ctrl-C, which this process answers for all, once it is over."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # which would lift that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
