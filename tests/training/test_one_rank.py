"""One rank, without the others, and without MPI."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest

from npbsrn.errors import UsageError
from npbsrn.runtime import interrupts
from npbsrn.training import ranks
from npbsrn.training.alone import Alone
from npbsrn.training.messages import Messages
from npbsrn.training.ranks import Ranks


def rank(number, size, **own):
    """A rank that MPI has not connected."""
    made = object.__new__(Ranks)
    vars(made).update(rank=number, size=size, first=number == 0, **own)
    return made


@pytest.mark.parametrize(
    ("near", "expected"), [([0, 1, 2], 1), ([2], 0.5), ([0, 1], 0.5), ([0], 0.25)], ids=lambda case: str(case)
)
def test_the_ranks_of_a_machine_share_its_memory_by_the_shards_that_they_have(near, expected):
    """Of four shards, three ranks have one, one and two."""
    assert rank(near[-1], 3, _near=near).share(4) == expected
    assert Alone().share(4) == 1


class Ended(Exception):
    """In place of the end of a process."""


@pytest.mark.parametrize("number", [0, 1, 2, 20])
@pytest.mark.parametrize(
    "error", [UsageError("wrong"), KeyboardInterrupt("; the state is saved")], ids=["error", "interrupt"]
)
def test_what_several_ranks_find_the_first_of_them_says(monkeypatch, number, error):
    """The others wait, each for those before it, and are ended meanwhile."""
    done = []
    monkeypatch.setattr(ranks.time, "sleep", done.append)

    def end(self, words, code):
        done.append(words)
        raise Ended

    monkeypatch.setattr(Ranks, "_end", end)
    with contextlib.suppress(Ended), rank(number, 30, _threads=1).together():
        assert interrupts._turn == done_before(number)
        raise error
    words = "wrong" if isinstance(error, UsageError) else "interrupted; the state is saved"
    assert done == [done_before(number), words]


def done_before(number):
    """Seconds in which those before a rank have spoken, and ended it."""
    return 2 * ranks.PASSING * min(number, 10)


def test_mpi_ends_where_python_begins_no_thread_any_more(monkeypatch):
    def start(clock):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(ranks.threading.Timer, "start", start)
    ended = []
    rank(0, 2, patience=60, _end_mpi=lambda: ended.append(True))._finalize()
    assert ended


class Request:
    """One that has arrived when MPI has been called three times."""

    def __init__(self):
        self.calls = 0

    def Test(self):
        self.calls += 1
        return self.calls > 2


class Sums:
    """What MPI does with the messages of a single rank."""

    def __init__(self):
        self.requests = []

    def Get_size(self):
        return 1

    def Get_rank(self):
        return 0

    def Ialltoallv(self, sent, received):
        received[0][:] = sent[0]
        self.requests.append(Request())
        return self.requests[-1]

    def Iallgatherv(self, own, everyones):
        return self.Ialltoallv([own], everyones)


def test_gradients_that_are_on_their_way_move_on_when_others_follow():
    """Also where no statistics are exchanged."""
    sums = Sums()
    mpi = SimpleNamespace(BYTE=None, COMM_WORLD=SimpleNamespace(Dup=lambda: sums))
    own = Messages(mpi, 60, lambda: pytest.fail("lost"))
    parts = np.random.default_rng(0).standard_normal((5, 2, 3)).astype(np.float32)
    begun = [own.begin_sum(part, [2]) for part in parts]
    assert [request.calls for request in sums.requests] == [3, 3, 2, 1, 0]
    gathered = [begin() for begin in begun]
    assert len(sums.requests) == 10
    for part, wait in zip(parts, gathered, strict=True):
        np.testing.assert_array_equal(wait(), part[0] + part[1])
