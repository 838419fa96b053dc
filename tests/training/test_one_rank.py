"""One rank, without the others, and without MPI."""

import contextlib
from types import SimpleNamespace

import pytest

from npbsrn.errors import UsageError
from npbsrn.runtime import interrupts
from npbsrn.training import ranks
from npbsrn.training.alone import Alone
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
    rank(0, 2, patience=60, _mpi=SimpleNamespace(Finalize=lambda: ended.append(True)))._finalize()
    assert ended
