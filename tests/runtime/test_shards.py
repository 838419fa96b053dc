"""Shards of a batch: what they exchange does not depend on where they are."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npbsrn.runtime import shards
from npbsrn.runtime.shards import Shards, current
from npbsrn.runtime.threads import parts_of, thread_count
from tests.strategies import seeds


class Meeting:
    """The exchange of processes that are threads here."""

    def __init__(self, counts):
        self.counts, self.barrier, self.parts = counts, threading.Barrier(len(counts)), [None] * len(counts)

    def of(self, number):
        return Side(self, number)

    def gather(self, number, parts):
        self.parts[number] = parts
        self.barrier.wait(10)
        everyones = np.concatenate(self.parts)
        self.barrier.wait(10)
        return everyones


class Side:
    def __init__(self, meeting, number):
        self.meeting, self.number = meeting, number

    def gather(self, parts):
        return self.meeting.gather(self.number, parts)

    def begin_sum(self, parts):
        return lambda: lambda: shards.summed(self.meeting.gather(self.number, parts))


def in_processes(count, processes, work):
    """What each process gets of `Shards.run`."""
    own = parts_of(count, processes)
    meeting, found = Meeting([last - first for first, last in own]), [None] * processes

    def process(number):
        found[number] = Shards(count, own[number], meeting.of(number)).run(work)

    threads = [threading.Thread(target=process, args=(number,)) for number in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return found


@settings(max_examples=20)
@given(st.integers(1, 6), seeds, st.integers(1, 4))
def test_sums_are_the_same_bytes_wherever_the_shards_are(count, seed, bucket):
    """Float32, whose sums depend on their order; in buckets of every size."""
    before, shards.BUCKET = shards.BUCKET, bucket * 4
    try:
        everyones = np.random.default_rng(seed).standard_normal((count, 3, 5)).astype(np.float32)
        places = iter(range(10**6))

        def work(shard):
            first = shard._shards.own[0] + shard.number
            gradients = [part.copy() for part in everyones[first]]
            for gradient in gradients:
                shard.hand_over(iter([gradient]))
                shard.hand_over(iter([gradient]))  # what is known is not taken again
            return gradients, shard.gather(everyones[first, 0]), next(places)

        expected = [shards.summed(everyones[:, k]).tobytes() for k in range(3)]
        for processes in range(1, count + 1):
            for results, sums in in_processes(count, processes, work):
                gradients, gathered, _ = results[0]
                assert [sums[id(gradient)].tobytes() for gradient in gradients] == expected
                np.testing.assert_array_equal(gathered, everyones[:, 0])
    finally:
        shards.BUCKET = before


def test_sums_are_gathered_at_once_and_in_their_order(monkeypatch):
    monkeypatch.setattr(shards, "BUCKET", 1)
    order = []

    class Told(shards.Here):
        def begin_sum(self, parts):
            def begin():
                order.append(f"gather {parts[0, 0]:g}")
                return finish

            def finish():
                order.append(f"wait {parts[0, 0]:g}")
                return parts[0]

            return begin

    gradients = [np.full(2, number) for number in range(3)]

    def work(shard):
        for gradient in gradients:
            shard.hand_over(iter([gradient]))

    _, sums = Shards(1, exchange=Told()).run(work)
    assert order == ["gather 0", "gather 1", "gather 2", "wait 0", "wait 1", "wait 2"]
    assert [sums[id(gradient)].tolist() for gradient in gradients] == [[0, 0], [1, 1], [2, 2]]


def test_each_works_in_a_thread_of_its_own_with_its_part_of_the_threads(monkeypatch):
    monkeypatch.setenv("NPBSRN_NUM_THREADS", "6")

    def work(shard):
        shard.gather(np.zeros(1))  # so that no thread ends before another one begins
        return current() is shard, threading.get_ident(), thread_count()

    results, _ = Shards(3).run(work)
    assert all(own for own, _, _ in results)
    assert len({thread for _, thread, _ in results}) == 3
    assert [threads for _, _, threads in results] == [2, 2, 2]
    assert current() is None
    assert thread_count() == 6


def test_one_that_fails_ends_all():
    def work(shard):
        if shard.number == 1:
            raise OSError("no room")
        shard.gather(np.zeros(1))

    divided = Shards(3)
    with pytest.raises(OSError, match="no room"):
        divided.run(work)
    assert divided.run(lambda shard: shard.gather(np.array(shard.number)).tolist())[0] == [[0, 1, 2]] * 3


def test_overflow_is_treated_as_around_it():
    def work(shard):
        return np.float32(3e38) * np.float32(10)

    with np.errstate(over="ignore"):
        assert Shards(2).run(work)[0] == [np.inf, np.inf]


@pytest.mark.parametrize(
    ("count", "own", "expected"), [(4, (1, 3), (4, 12)), (1, (0, 1), (0, 16)), (8, (7, 8), (14, 16))]
)
def test_the_samples_of_a_process(count, own, expected):
    assert Shards(count, own).part_of(16) == expected
