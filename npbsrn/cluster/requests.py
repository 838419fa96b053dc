"""What is sent to a worker, and what it sends back: small things, and no pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from npbsrn import __version__, errors
from npbsrn.errors import ClusterError, ExistsError, NpbsrnError
from npbsrn.images.saving import Saving
from npbsrn.storage.remote import Place, Url, place_of, there


@dataclass(frozen=True)
class Network:
    """What a worker makes its runner from; see `npbsrn.inference.any_scale.runner_for`.

    Parameters
    ----------
    model : str, optional
        A name, or a path that every worker has.
    scale : float, optional
    engine : str
    digest : str, optional
        The hash of the weights where the run was begun: a worker must have the same.
    """

    model: str | None
    scale: float | None
    engine: str
    digest: str | None


@dataclass(frozen=True)
class Request:
    """One picture to enlarge, somewhere.

    Parameters
    ----------
    source, target : path or Url
        As they were given; paths may be relative to `place`.
    place : path
        The folder in which the run was begun.
    network : Network
    saving : Saving
    threads : int
    tile : int, optional
    ensemble, overwrite, first_frame : bool
    max_pixels : int, optional
    mark : str
        Of the run's temporary files; see `npbsrn.storage.files.marked`.
    proof : path or Url, optional
        A file that is there as long as the run goes on: a worker that does not see it has another folder for results.
    version : str
        Of the package where the run was begun: a worker must have the same.
    """

    source: Place
    target: Place
    place: Path
    network: Network
    saving: Saving
    threads: int = 1
    tile: int | None = None
    ensemble: bool = False
    overwrite: bool = False
    first_frame: bool = False
    max_pixels: int | None = None
    mark: str = ""
    proof: Place | None = None
    version: str = __version__

    def there(self, place: Place) -> Place:
        """Where a place of this request is, whatever folder a worker is in."""
        return place if isinstance(place, Url) else self.place / place

    def as_given(self, words: str, copies: dict[Path, Place]) -> str:
        """A worker's words, with places as they were given; `copies` says for which places some files stand."""
        names = {str(copy): str(place) for copy, place in copies.items()}
        for place in (self.source, self.target):
            if isinstance(place, Path):
                names |= {str(self.there(place)): str(place), str(self.there(place.parent)): str(place.parent)}
        for name in sorted(names, key=len, reverse=True):  # a file before its folder
            words = words.replace(name, names[name])
        return words


@dataclass(frozen=True)
class Outcome:
    """What has become of a picture.

    Parameters
    ----------
    width, height : int
        Of the result.
    seconds : float
        From its beginning to its end on the worker.
    flattened : bool
        Whether transparency was laid over the background.
    notes : tuple of str
        Warnings.
    error, words : str
        The name of the class of an `NpbsrnError`, and what it says; empty if the result is there. Not the error itself:
        its class may not be made of its words.
    """

    width: int = 0
    height: int = 0
    seconds: float = 0.0
    flattened: bool = False
    notes: tuple[str, ...] = ()
    error: str = ""
    words: str = ""

    def check(self, request: Request) -> None:
        """Raise the error, if there was one."""
        if self.error == ExistsError.__name__:
            raise ExistsError(request.target)
        if self.error:
            kind: Callable[[str], NpbsrnError] = getattr(errors, self.error, NpbsrnError)
            raise kind(self.words)


def refuse_version(worker: str, theirs: str, ours: str) -> None:
    """Refuse a worker that has another version of this package than the machine where the run was begun."""
    if theirs != ours:
        raise ClusterError(
            f"{worker} has npbsrn {theirs}, and this machine has npbsrn {ours}, so that results might differ; "
            "install the same version on all machines"
        )


def blind(request: Request) -> Place | None:
    """The place that this machine should see for a request, and does not; None if all are there."""
    if isinstance(request.source, Path) and not there(request.there(request.source)):
        return request.source
    return request.proof if request.proof and not there(request.proof) else None


def absent(places: tuple[str, ...]) -> list[str]:
    """Which of some files this machine does not see."""
    return [text for text in places if not there(place_of(text))]


def refuse_blind(worker: str, place: str | Place) -> None:
    """Refuse a worker that does not see a place as the machine does where the run was begun."""
    raise ClusterError(
        f"{worker} does not see {place}; give all machines the same paths, by a shared file system, or URLs"
    )
