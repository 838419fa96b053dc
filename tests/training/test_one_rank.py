"""One rank, without the others, and without MPI."""

import pytest

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
