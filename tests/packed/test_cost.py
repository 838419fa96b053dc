"""Estimates of a network's time: the work by which they go is the work that is done. Nothing here is timed."""

from dataclasses import astuple, fields

import numpy as np
import pytest

from npbsrn.cli import costs
from npbsrn.packed.cost import Work, work_of
from npbsrn.packed.stopwatch import BLOCKS, HEAD, TAIL, TRUNK, Part, convolutions_of, timed_parts

NETWORKS = {
    "trunk": {"name": "bbcu", "blocks": 2, "width": 16},
    "direct tail": {"name": "bbcu", "blocks": 2, "width": 16, "trunk": False, "tail": "direct"},
    "BAM": {"name": "bsrn", "blocks": 1, "width": 16},
}


@pytest.fixture(scope="module", params=NETWORKS.values(), ids=NETWORKS)
def engine(request):
    return costs.untrained(request.param, 4)


def test_multiplications_are_those_that_are_done(engine):
    """But for rows that bands compute twice, for rows around what is wanted, and for borders."""
    height, width = 64, 96
    with timed_parts() as parts:
        engine.run(np.zeros((height, width, 3), np.uint8), threads=1)
    work = work_of(engine, height, width)
    for name, expected in ((HEAD, work.head), (TRUNK, work.trunk), (TAIL, work.tail)):
        assert expected <= parts[name].work <= 1.25 * expected, name
    assert BLOCKS in parts


def test_binary_multiplications_are_those_of_all_filters(engine):
    work = work_of(engine, 10, 33)  # two tiles wide
    by_size = {size: sum(w.size for w in convolutions_of(engine.plan) if w.shape[-1] == size) for size in (1, 3)}
    assert (work.counts1, work.counts3) == (by_size[1] * 640, by_size[3] * 640)
    assert work.values == len(engine.plan.steps) * 16 * 640


def test_rates_are_found_again():
    """From parts that were made by known rates."""
    rates = Work(*(1e-9 * (1 + n) for n in range(len(fields(Work)))))
    shapes = (
        Work(counts3=7, values=5, activated=5, head=2, trunk=3, tail=4, pixels=9),
        Work(counts3=5, counts1=6, values=4, head=1, trunk=2, tail=2, pixels=9),
        Work(counts3=4, values=3, activated=2, means=3, head=5, trunk=1, tail=3, pixels=9),
    )
    samples = []
    for work in shapes:
        own = work.times(rates)
        counts = own.counts3 + own.counts1
        parts = {name: Part(getattr(own, name), getattr(work, name)) for name in ("head", "trunk")}
        parts |= {TAIL: Part(own.tail, work.tail), BLOCKS: Part(counts + own.values + own.activated + own.means)}
        samples.append((work, (own.total(), parts), counts))
    np.testing.assert_allclose(astuple(costs.solved(samples)), astuple(rates))
