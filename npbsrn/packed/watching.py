"""How far a picture is: told while its blocks are computed, and for each tile."""

import queue
from collections.abc import Callable
from typing import Any

from npbsrn.packed.wavefront import blocks_rows
from npbsrn.packed.workspace import Job
from npbsrn.runtime.progress import Progress
from npbsrn.runtime.threads import run_parallel

Watch = Callable[[float], None]  # is told which part of something is done, from 0 to 1

PAUSE = 0.05  # seconds between two looks at how far the blocks are


def run_watched(job: Job, workers: int, count: Callable[[int], None]) -> None:
    """Run the blocks in other threads, and tell in this one how many tiles of stages are done, every `PAUSE`."""
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()

    def serve(*args: Any) -> None:
        try:
            blocks_rows(*args)
        finally:
            ended.put(None)

    def follow() -> None:
        left = workers
        while left:
            try:
                ended.get(timeout=PAUSE)
                left -= 1
            except queue.Empty:
                count(int(job.done[:, 0].sum()))

    run_parallel(serve, workers, job, meanwhile=follow)


def tell_share(progress: Progress, before: int, pixels: int, total: int, share: float) -> None:
    """Tell which part of a tile is done."""
    progress(before + int(pixels * share), total)
