"""A process that trains a network by itself, with what `npbsrn.training.ranks` asks of several."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from npbsrn.runtime.shards import Shards

Result = TypeVar("Result")
Alive = Callable[[], None]


class Alone:
    """A process that trains by itself."""

    size, rank, first = 1, 0, True

    def each(self, work: Callable[[Alive], Result]) -> Result:
        """What this rank makes of `work`, which may take long; `work` gets a function for signs of life."""
        return work(lambda: None)

    def lead(self, work: Callable[[Alive], Result]) -> Result:
        """What the first rank makes of `work`, which it does for all."""
        return self.each(work)

    def interrupted(self, flag: bool) -> bool:
        """Whether one of the ranks is interrupted, and so are all."""
        return flag

    def refuse_drift(self, digest: bytes) -> None:
        """Refuse to go on where ranks do not have the same weights."""

    def divide(self, shards: int, synchronize: bool) -> Shards | None:
        """The shards of this rank; None where a batch is not divided."""
        return Shards(shards, synchronize=synchronize) if shards > 1 else None

    def share(self, shards: int) -> float:
        """The part of a batch's shards that are on this machine, of which the ranks share the memory."""
        return 1.0

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Context of all that the ranks do."""
        yield
