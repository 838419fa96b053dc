"""Requests that are with a cluster's workers."""

import queue
from collections.abc import Callable
from functools import partial
from typing import Any

from npbsrn.cluster.connecting import Asked
from npbsrn.cluster.look import Look
from npbsrn.cluster.requests import Outcome

POLL = 0.05  # seconds between two looks at whether all is well


class Work:
    """Futures of requests, each until its outcome is here.

    Parameters
    ----------
    send : callable
        ``send(place, rank, workers)`` submits a request, to these workers alone unless it is None, and returns its
        future.
    others : callable
        ``others(future, place)``: the workers that will do, of a request that one has refused which will not.
    fitting : callable
        All workers that will do.
    """

    def __init__(
        self, send: Callable[[int, int, list[str] | None], Any], others: Callable[[Any, int], list[str]],
        fitting: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        self.futures: dict[Any, int] = {}  # and the places of their requests
        self._send, self._others, self._fitting = send, others, fitting
        self._moved: dict[Any, list[str]] = {}  # those that a worker has refused, and the workers that will do
        self._outcomes: dict[Any, Asked[Outcome]] = {}  # on their way, for which Dask may wait
        self._news: queue.SimpleQueue[Any] = queue.SimpleQueue()  # futures that have ended, and once more when fetched

    def submit(self, place: int, rank: int = 0, workers: list[str] | None = None) -> None:
        """Send a request."""
        future = self._send(place, rank, workers)
        future.add_done_callback(self._news.put)
        self.futures[future] = place
        if workers:
            self._moved[future] = workers

    def ended(self) -> tuple[int, Any, Asked[Outcome]] | None:
        """Place, future and outcome of a request whose outcome is here; or None, after `POLL` seconds at most."""
        try:
            future = self._news.get(timeout=POLL)
        except queue.Empty:
            return None
        if future in self._outcomes:
            self._moved.pop(future, None)
            return self.futures.pop(future), future, self._outcomes.pop(future)
        if future not in self.futures:  # it was sent anew
            return None
        others = [] if future in self._moved else self._others(future, self.futures[future])
        if others:
            self.submit(self.futures.pop(future), workers=others)
        else:
            self._outcomes[future] = Asked(future.result, partial(self._news.put, future))
        return None

    def send_anew(self, look: Look) -> None:
        """Send what waits for workers that are all gone, for Dask would wait for them, to others that will do."""
        waiting = [future for future in self._moved if future not in self._outcomes]
        stranded = [future for future in waiting if look.lacks(self._moved[future])]
        others = self._fitting() if stranded else []
        for future in stranded if others else ():
            del self._moved[future]
            self.submit(self.futures.pop(future), workers=others)
            future.release()
