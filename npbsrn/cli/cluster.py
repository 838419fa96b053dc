"""``npbsrn upscale --dask``: several pictures by a cluster's workers; see `npbsrn.cli.folder`."""

import io
import secrets
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npbsrn.cli.bar import Bar, at_work, megapixels, named_warnings
from npbsrn.cli.batch import Batch
from npbsrn.cli.folder import Done, Manner
from npbsrn.cli.say import say
from npbsrn.cluster.client import LOCAL, Cluster
from npbsrn.cluster.requests import Network, Outcome, Request
from npbsrn.inference.runners import Runner
from npbsrn.runtime.interrupts import UNFINISHED, Deferral, above_bars, deferred
from npbsrn.runtime.threads import thread_count
from npbsrn.shipped import MODELS
from npbsrn.storage.files import remove_marked
from npbsrn.storage.remote import Place, StoreError, Url, heads, remove, touch

STOPPING = {  # by whether they are local
    True: "the workers are being stopped; another interrupt ends this at once",
    False: "the workers finish the pictures that they are at; another interrupt ends this at once",
}


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
        pictures = [picture for picture, _ in batch.jobs]
        workers = min(len(pictures), max(1, thread_count() // self.threads))
        with (
            _tidied(batch, mark, self.address == LOCAL),
            _proof(batch, mark) as proof,
            deferred(STOPPING[self.address == LOCAL], "") as deferral,
            self._reached(Cluster(self.address, workers, _shared(pictures[0], proof)), deferral, words) as cluster,
            Bar(pictures, manner.quiet, sizes := sizes_of(pictures)) as bar,
            named_warnings(),
        ):
            requests = [self._request(*job, manner, mark, proof) for job in batch.jobs]
            for place, result in cluster.results(requests, sizes, _Watch(deferral, words)):
                bar.end(requests[place].source)
                yield batch.jobs[place], Finished(requests[place], result, manner, written)

    @contextmanager
    def _reached(self, cluster: Cluster, deferral: Deferral, words: Callable[[], str]) -> Iterator[Cluster]:
        """Reach a cluster. An interrupt ends this at once, except while local workers begin: they would show errors."""
        with ExitStack() as held:
            with nullcontext() if self.address == LOCAL else deferral.at_once(words()):
                held.enter_context(cluster)
            yield cluster

    def _request(self, source: Place, target: Place, manner: Manner, mark: str, proof: Place) -> Request:
        how = manner.how
        return Request(
            source, target, Path.cwd(), self.network, manner.saving, self.threads, how.tile, how.ensemble,
            manner.overwrite, manner.first_frame, manner.max_pixels, mark, proof,
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
    """Looks at interrupts, and says what is waited for."""

    def __init__(self, deferral: Deferral, words: Callable[[], str]) -> None:
        self.deferral, self.words, self.said = deferral, words, ""

    def __call__(self, waiting: str) -> None:
        self.deferral.check(self.words())
        if waiting and waiting != self.said:
            with above_bars():
                say(waiting)
        self.said = waiting


@contextmanager
def _tidied(batch: Batch[Place], mark: str, own: bool) -> Iterator[None]:
    """Remove what is left of workers that were killed, and folders that were made for nothing.

    Parameters
    ----------
    batch : Batch
    mark : str
        Of temporary files.
    own : bool
        Whether no worker is at work any more, however the block ends.
    """
    folders = {target.parent for _, target in batch.jobs if isinstance(target, Path)}
    made = {place for folder in folders for place in (folder, *folder.parents) if not place.exists()}
    try:
        yield
        own = True
    finally:
        if own:
            remove_marked(folders, mark)
        for place in sorted(made, key=lambda place: len(place.parts), reverse=True):
            with suppress(OSError):  # where there are results
                place.rmdir()


@contextmanager
def _proof(batch: Batch[Place], mark: str) -> Iterator[Place]:
    """A hidden file in the folder for results, by which workers see whether they have the same one."""
    name = f".npbsrn.{mark}.tmp"
    if isinstance(batch.folder, Url):
        url = batch.folder / name
        touch(url)
        try:
            yield url
        finally:
            with suppress(StoreError):
                remove(url)
        return
    folder = Path(str(batch.folder or Path(str(batch.jobs[0][1])).parent)).absolute()  # or beside the pictures
    path = folder / name
    UNFINISHED.add(str(path))  # so that an interrupt removes it, too
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()
        yield path
    finally:
        path.unlink(missing_ok=True)
        UNFINISHED.discard(str(path))


def _shared(picture: Place, proof: Place) -> list[Place]:
    """What workers must see as this machine does: a picture, and the folder for results."""
    return [picture.absolute(), proof] if isinstance(picture, Path) else [proof]


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
