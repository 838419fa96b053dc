"""What is known of a scheduler's workers while they are at work."""

import threading
import time
from collections.abc import Collection
from typing import Any

ASK = 5.0  # seconds between two looks at whether there are workers
SILENT = 30.0  # seconds without an answer before it is said that the scheduler gives none


class Look:
    """The workers that a scheduler has, asked for now and then by a thread, as it may never answer."""

    def __init__(self, client: Any) -> None:
        self._client, self._over = client, threading.Event()
        self._heard = self._told = time.monotonic()
        self.is_lost = False
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

    def has_news(self) -> bool:
        """Whether the scheduler has answered since this was last asked."""
        told, self._told = self._told, self._heard
        return told < self._told

    def lacks(self, workers: Collection[str]) -> bool:
        """Whether none of these workers is there any more."""
        return self._seen.keys().isdisjoint(workers)

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
