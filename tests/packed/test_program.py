"""Where values lie: as few maps as can be, and none that is written while somebody still needs what is in it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from npbsrn.packed.program import FIELDS, FIRST_TERM, TARGET, TERMS, compile_blocks
from tests.packed.plans import Draw, lb_blocks, random_blocks
from tests.strategies import seeds


def blocks_of(sizes, terms, skip, count=2):
    blocks = []
    for _ in range(count):
        block = Draw(np.random.default_rng(0), True).block(4, sizes, "abs", False, (1, 1), skip)
        steps = (
            replace(s, terms=t, weight=s.weight[:, :1].repeat(len(t), 1))
            for s, t in zip(block.steps, terms, strict=True)
        )
        blocks.append(replace(block, steps=tuple(steps)))
    return blocks


ALL = ((0,), (0, 1), (0, 1, 2))
NEWEST = ((0,), (1,), (2,))


@pytest.mark.parametrize(
    ("sizes", "terms", "skip", "maps"),
    [
        ((3, 1, 1), ALL, "block", 1),  # BSRN
        ((3, 3), ALL[:2], "block", 1),  # SRResNet
        ((3, 3, 3), ALL, "none", 2),  # VDSR
        ((3, 3, 3), NEWEST, "none", 1),
        ((3, 3, 3), NEWEST, "every", 1),
        ((3, 3, 3), ALL, "every", 3),
    ],
)
def test_there_are_no_more_maps_than_needed(sizes, terms, skip, maps):
    assert compile_blocks(blocks_of(sizes, terms, skip), 4).maps == maps


def test_lb_blocks_are_one_stage_each():
    program = compile_blocks(lb_blocks(0, 4, 3), 4)
    assert program.stages.tolist() == [[0, 2], [3, 1], [6, 0], [9, 0]]


@given(seeds, st.integers(1, 4), st.booleans())
def test_terms_are_there_when_they_are_needed(seed, count, several):
    """Each term's home holds that term's value when the words of a step are made."""
    blocks = random_blocks(seed, 2, count, several=several)
    program = compile_blocks(blocks, 2)
    there, value, step = {0: 0}, 0, 0  # by home
    for block in blocks:
        first = value
        for own in block.steps:
            record = program.table[step * FIELDS : (step + 1) * FIELDS]
            homes = program.table[record[FIRST_TERM] :][: record[TERMS]]
            assert [there[home] for home in homes] == [first + k for k in own.terms]
            value, step = value + 1, step + 1
            there[record[TARGET]] = value
    assert there[program.result] == value
