"""``npbsrn upscale --dask``: several pictures by a cluster's workers; see `npbsrn.cli.folder`."""

import io
import secrets
import warnings
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npbsrn.cli.bar import Bar, at_work, megapixels, named_warnings
from npbsrn.cli.batch import Batch
from npbsrn.cli.folder import Done, Manner
from npbsrn.cli.say import say
from npbsrn.cluster.client import Cluster
from npbsrn.cluster.requests import Network, Outcome, Request
from npbsrn.inference.runners import Runner
from npbsrn.runtime.interrupts import Deferral, above_bars, deferred
from npbsrn.runtime.threads import thread_count
from npbsrn.shipped import MODELS
from npbsrn.storage.files import remove_marked
from npbsrn.storage.remote import Place, Url, heads

STOPPING = "the workers are being stopped; another interrupt ends this at once"


@dataclass(frozen=True)
class Over:
    """A way to enlarge several pictures: `npbsrn.cli.folder.Way`.

    Parameters
    ----------
    address : str
        See `npbsrn.cluster.client.Cluster`.
    network : Network
    threads : int
        For a picture. On this machine, so many workers are started that all of them have as many threads as there are.
    """

    address: str
    network: Network
    threads: int = 1

    def __call__(
        self, batch: Batch, manner: Manner, written: list[Place], words: Callable[[], str]
    ) -> Generator[Any, None, None]:
        """Have all pictures enlarged, and yield each as it ends."""
        if not batch.jobs:
            return
        mark = secrets.token_hex(8)
        requests = [self._request(*job, manner, mark) for job in batch.jobs]
        sizes = sizes_of([picture for picture, _ in batch.jobs])
        cluster = Cluster(self.address, min(len(requests), max(1, thread_count() // self.threads)))
        ended = False
        try:
            with (
                cluster,
                Bar([picture for picture, _ in batch.jobs], manner.quiet, sizes) as bar,
                named_warnings(),
                deferred(STOPPING, "") as deferral,
            ):
                for place, result in cluster.results(requests, sizes, _Watch(deferral, words)):
                    bar.end(requests[place].source)
                    yield batch.jobs[place], Finished(requests[place], result, manner, written)
            ended = True
        finally:
            if ended or cluster.is_local:  # other workers may be at work still
                folders = {target.parent for _, target in batch.jobs if isinstance(target, Path)}
                remove_marked(folders, mark)

    def _request(self, source: Place, target: Place, manner: Manner, mark: str) -> Request:
        how = manner.how
        return Request(
            source, target, Path.cwd(), self.network, manner.saving, self.threads, how.tile, how.ensemble,
            manner.overwrite, manner.first_frame, manner.max_pixels, mark,
        )  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """A picture that a worker has done, or failed at."""

    request: Request
    outcome: Callable[[], Outcome]
    manner: Manner
    written: list[Place]

    def result(self) -> Done:
        """What was done, once its warnings are shown; or the error."""
        request, outcome = self.request, self.outcome()
        with at_work(request.source):
            for note in outcome.notes:
                warnings.warn(note, stacklevel=2)
        outcome.check(request)
        if outcome.flattened:
            self.manner.say_flattened(request.source)
        self.written.append(request.target)
        return Done(request.source, request.target, outcome.width, outcome.height, outcome.seconds)


class _Watch:
    """Looks at interrupts, and says when there are no workers."""

    def __init__(self, deferral: Deferral, words: Callable[[], str]) -> None:
        self.deferral, self.words, self.said = deferral, words, False

    def __call__(self, there: bool) -> None:
        self.deferral.check(self.words())
        if not there and not self.said:
            with above_bars():
                say("all workers are gone; waiting for others")
        self.said = not there


def network_of(model: str | None, engine: str, runner: Runner) -> Network:
    """What workers make the runner of this machine from; a path is made one that does not depend on the folder."""
    named = model is None or model == "bicubic" or model in MODELS
    return Network(model if named else str(Path(model or "").absolute()), runner.scale, engine, runner.digest)


def sizes_of(pictures: Sequence[Place]) -> list[float]:
    """Megapixels, by the pictures' headers; 0 where they cannot be read."""
    urls = [picture for picture in pictures if isinstance(picture, Url)]
    known: dict[Place, float] = {
        url: megapixels(io.BytesIO(head)) for url, head in zip(urls, heads(urls), strict=True)
    }  # fmt: skip
    return [known[picture] if isinstance(picture, Url) else megapixels(picture) for picture in pictures]
