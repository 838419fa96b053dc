"""Shards of a batch that are trained on apart, in threads of this process or in other processes.

A batch is divided into equal shards, each of which passes through the network by itself. What depends on the whole
batch is exchanged: the statistics of batch normalisation, and the gradients. Both are summed in the order of the
shards, whoever has them: so a run gives the same bytes wherever its shards are.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np

from npbsrn.runtime.threads import limited, thread_count

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")

_own = threading.local()  # `shard`: that of this thread


Sum = Callable[[], Callable[[], Array]]  # in two stages, see `Exchange.begin_sum`


class Exchange(Protocol):
    """What several processes do with the arrays of their shards."""

    def gather(self, parts: Array) -> Array:
        """(own shards, ...) of each process to (all shards, ...), in their order."""

    def begin_sum(self, parts: Array) -> Sum:
        """Begin to sum (own shards, P) over all shards, in their order.

        What is returned waits for what this process has to add, and begins to gather the sums; and what that returns
        waits for all of them, (P,). So several sums are gathered at once.
        """


class Here:
    """The exchange of a process that has all shards."""

    def gather(self, parts: Array) -> Array:
        """What is given."""
        return parts

    def begin_sum(self, parts: Array) -> Sum:
        """The sum."""
        return lambda: lambda: summed(parts)


def summed(parts: Array) -> Array:
    """Sum over the first axis, one after another."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


class Shard:
    """One shard of a batch, in the thread that passes it through the network.

    Parameters
    ----------
    shards : Shards
    number : int
        Among those of this process.
    """

    def __init__(self, shards: "Shards", number: int) -> None:
        self.count, self.synchronize, self.number, self._shards = shards.count, shards.synchronize, number, shards
        self._waiting: list[Array] = []  # gradients of the bucket that is being filled
        self._known: dict[int, Array] = {}  # that were handed over, by identity; held, so that none is taken by another
        self.order: list[Array] = []  # as they were handed over

    def gather(self, part: Array) -> Array:
        """An array of all shards, (count, ...), in their order, from this one's; each must call it, with one shape."""
        return self._shards.gather(self.number, part)

    def hand_over(self, gradients: Iterator[Array]) -> None:
        """Take gradients that are ready, so that they are on their way while others are computed."""
        for gradient in gradients:
            if id(gradient) not in self._known:
                self._known[id(gradient)] = gradient
                self.order.append(gradient)
                self._waiting.append(gradient)
        if sum(gradient.size for gradient in self._waiting) >= BUCKET:
            self.flush()

    def flush(self) -> None:
        """Send what is waiting."""
        if self._waiting:
            bucket = np.concatenate([gradient.ravel() for gradient in self._waiting])
            self._waiting = []
            self._shards.send(self.number, bucket)


BUCKET = 1 << 18  # numbers that are sent together: a megabyte; fewer would wait for the network's latency


class Shards:
    """The shards of this process.

    Parameters
    ----------
    count : int
        Of the whole batch.
    own : (int, int)
        The first one of this process, and behind the last; by default it has all.
    exchange : Exchange, optional
    synchronize : bool
        Whether statistics are those of the whole batch, or of each shard.
    """

    def __init__(
        self, count: int, own: tuple[int, int] | None = None, exchange: Exchange | None = None, synchronize: bool = True
    ) -> None:
        self.count, self.own, self.exchange = count, own or (0, count), exchange or Here()
        self.synchronize = synchronize
        self.local = self.own[1] - self.own[0]
        self._barrier = threading.Barrier(self.local)
        self._parts: list[Any] = [None] * self.local
        self._gathered: Any = None
        self._lock = threading.Lock()
        self._buckets: list[list[Any]] = []
        self._sums: list[Sum] = []

    def part_of(self, samples: int) -> tuple[int, int]:
        """The first of so many samples of a batch that this process has, and behind the last."""
        first, last = (samples * shard // self.count for shard in self.own)
        return first, last

    def gather(self, number: int, part: Array) -> Array:
        """See `Shard.gather`."""
        self._parts[number] = part
        if self._barrier.wait() == 0:
            self._gathered = self.exchange.gather(np.stack(self._parts))
        self._barrier.wait()
        return self._gathered

    def send(self, number: int, bucket: Array) -> None:
        """One shard's next bucket; the sum begins when those of all shards are there."""
        with self._lock:
            nth = next((n for n, parts in enumerate(self._buckets) if parts[number] is None), len(self._buckets))
            if nth == len(self._buckets):
                self._buckets.append([None] * self.local)
            parts = self._buckets[nth]
            parts[number] = bucket
            if all(part is not None for part in parts):
                self._sums.append(self.exchange.begin_sum(np.stack(parts)))

    def run(self, work: Callable[[Shard], Result]) -> tuple[list[Result], dict[int, Array]]:
        """Do `work` for each shard in a thread of its own.

        Returns
        -------
        results : list
            By shard.
        sums : dict of arrays
            Over all shards, of what they handed over, by the `id` of the first one's arrays.
        """
        self._barrier.reset()
        self._buckets, self._sums = [], []
        shards = [Shard(self, number) for number in range(self.local)]
        results: list[Any] = [None] * self.local
        errors: list[BaseException] = []
        threads = max(1, thread_count() // self.local)

        def serve(shard: Shard) -> None:
            try:
                with limited(threads), _at_work(shard):
                    results[shard.number] = work(shard)
                    shard.flush()
            except threading.BrokenBarrierError:  # another one failed
                pass
            except BaseException as error:
                errors.append(error)
                self._barrier.abort()

        contexts = [contextvars.copy_context() for _ in shards]  # in which NumPy keeps what it does about overflows
        helpers = [
            threading.Thread(target=context.run, args=(serve, shard), daemon=True)
            for context, shard in zip(contexts[1:], shards[1:], strict=True)
        ]
        for helper in helpers:
            helper.start()
        contexts[0].run(serve, shards[0])
        for helper in helpers:
            helper.join()
        if errors:
            raise errors[0]
        order = shards[0].order
        gathered = [begin() for begin in self._sums]
        sums = _unpacked([wait() for wait in gathered], order)
        return results, {id(array): total for array, total in zip(order, sums, strict=True)}


@contextmanager
def _at_work(shard: Shard) -> Iterator[None]:
    _own.shard = shard
    try:
        yield
    finally:
        _own.shard = None


def _unpacked(sums: Sequence[Array], like: Sequence[Array]) -> list[Array]:
    """Arrays of these shapes from buckets."""
    if not sums:
        return []
    whole = np.concatenate(sums)
    ends = np.cumsum([array.size for array in like])
    return [part.reshape(array.shape) for part, array in zip(np.split(whole, ends[:-1]), like, strict=True)]


def current() -> Shard | None:
    """The shard that this thread works on, if a batch is divided."""
    return getattr(_own, "shard", None)
