"""A plan's blocks as the arrays that the kernel walks through.

Steps are grouped into stages: one step of any size, and the 1x1 steps behind it, which look at no other pixel. So a
stage is computed tile by tile, and only the bits of its first step are stored in rows.

The result of a step is a value: A_0 of the first block is value 0, and the result of step s is value s + 1. Most values
are no longer needed once the next step's bits are known. A value that a later stage needs, as a term or for a skip, is
stored in a map as large as the picture; the number of maps is kept as small as possible. A value that only its own
stage needs is stored in a worker's workspace.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.kernels.bits import TILE, pack_filters, pad_words
from npbsrn.kernels.counts import arranged
from npbsrn.packed.plan import Block, Step

Array = np.ndarray[Any, Any]

ABS, MEAN, NONE = 0, 1, 2  # E of eq. 9
STATISTICS = {"abs": ABS, "mean": MEAN, "none": NONE}

# Of a step's record: places in the words and floats, and what else there is to know.
(SIZE, FIRST_WORD, WORDS, FILTERS, BASES, FACTOR, OFFSET, SLOPE, WEIGHT, SHIFT, PAD, TERMS, FIRST_TERM, ADDED, AMOUNT,
 TARGET, KEPT, STATISTIC, DIRECT) = range(19)  # fmt: skip
FIELDS = 19
NOTHING = -1  # where no value is added


@dataclass(frozen=True)
class Program:
    """The description of all blocks that a kernel reads.

    Parameters
    ----------
    table : (n,) int64
        `FIELDS` numbers for each step, then the terms' homes.
    stages : (G + 1, 2) int64
        Each stage's first step, and the reach of the steps behind the stage; the last row has the number of steps.
    floats : (n,) float32
    words : (n,) uint16
        Filters, as `npbsrn.kernels.counts.arranged` gives them.
    pads : (2, P) uint16
        Words around the picture, for +1 and for -1.
    channels : int
        C.
    maps, homes : int
        The number of maps, and the number of places for a tile's values: maps, then those in a workspace.
    bases : int
        The largest N of all steps.
    result : int
        The map that holds the last value.
    statistic : {ABS, MEAN, NONE}
        E of the feature map, as the first block uses it.
    weighted, sloped : bool
        Whether any block has an E, and any step a PReLU.
    """

    table: Array
    stages: Array
    floats: Array
    words: Array
    pads: Array
    channels: int
    maps: int
    homes: int
    bases: int
    result: int
    statistic: int
    weighted: bool
    sloped: bool

    @property
    def tile(self) -> int:
        """Numbers that a value has in a tile: its channels, and behind them E if there is one."""
        return (self.channels + self.weighted) * TILE


class _Line:
    """All steps in a row, and who needs which value."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self.steps: list[Step] = []
        self.block_of: list[Block] = []
        self.terms: list[list[int]] = []  # values, by step
        self.added: list[tuple[int, float]] = []  # the value that a step adds to, and its own factor
        for block in blocks:
            first = len(self.steps)
            for n, step in enumerate(block.steps):
                last = n == len(block.steps) - 1 and block.residual is not None
                self.added.append(_added(step, first, first + n, block.residual if last else None))
                self.terms.append([first + k for k in step.terms])
                self.block_of.append(block)
                self.steps.append(step)

    def stages(self) -> list[int]:
        """The step with which each stage begins."""
        return [s for s, step in enumerate(self.steps) if s == 0 or step.size > 1]

    def last_uses(self) -> list[tuple[int, bool]]:
        """By value: the last step behind which it is needed, and whether that is for the bits of the next one."""
        uses = [(s - 1, False) for s in range(len(self.steps) + 1)]
        for s, (value, _) in enumerate(self.added):
            if value != NOTHING:
                uses[value] = max(uses[value], (s, False))
            for term in self.terms[s]:
                uses[term] = max(uses[term], (s - 1, True))
        return uses


def _added(step: Step, first: int, own: int, residual: float | None) -> tuple[int, float]:
    if step.skip:
        if residual is not None:
            raise ValueError("a step has one skip at most: around itself, or as the last one around its block")
        return own, step.amount
    return (NOTHING, 0.0) if residual is None else (first, residual)


def _homes(line: _Line, stages: list[int]) -> tuple[list[int], int, int]:
    """Where each value lies: homes by value, how many maps there are, and how many homes."""
    stage_of = np.searchsorted(stages, np.arange(len(line.steps)), side="right") - 1
    uses, last = line.last_uses(), len(line.steps)
    mapped = [v in (0, last) or stage_of[max(uses[v][0], 0)] > stage_of[v - 1] for v in range(last + 1)]
    homes, counts = [0] * (last + 1), {}
    for kind in (True, False):
        until: list[tuple[int, bool]] = []  # by home of this kind: its newest value's last use
        for v in (v for v in range(last + 1) if mapped[v] == kind):
            # What is added has been read when the result is written; terms are still read then.
            free = [h for h, use in enumerate(until) if use < (v - 1, True)]
            homes[v] = free[0] if free else len(until)
            until[homes[v] : homes[v] + 1] = [uses[v]]
        counts[kind] = len(until)
    homes = [home if mapped[v] else counts[True] + home for v, home in enumerate(homes)]
    return homes, counts[True], counts[True] + counts[False]


class _Writer:
    """Arrays one behind another, by the place of each."""

    def __init__(self, dtype: Any) -> None:
        self.parts: list[Array] = []
        self.size, self.dtype = 0, dtype

    def place(self, array: Any) -> int:
        part = np.ascontiguousarray(array, self.dtype).ravel()
        self.parts.append(part)
        self.size += part.size
        return self.size - part.size

    def whole(self) -> Array:
        return np.concatenate([np.zeros(0, self.dtype), *self.parts])


def compile_blocks(blocks: Sequence[Block], channels: int) -> Program:
    """What the kernel is told of some blocks, all of whose steps are binary.

    Parameters
    ----------
    blocks : sequence of Block
    channels : int
        C.
    """
    line = _Line(blocks)
    stages = line.stages()
    homes, maps, count = _homes(line, stages)
    floats, words, terms = _Writer(np.float32), _Writer(np.uint16), _Writer(np.int64)
    table = np.zeros((len(line.steps), FIELDS), np.int64)
    uses = line.last_uses()
    for s, step in enumerate(line.steps):
        own = table[s]
        filters = [arranged(pack_filters(signs), channels, step.size) for signs in step.signs]
        own[SIZE], own[FIRST_WORD], own[WORDS] = step.size, words.place(np.concatenate(filters)), len(filters[0])
        own[FILTERS], own[BASES] = step.factor.shape[:2]
        own[FACTOR] = floats.place(step.factor)
        # A sum that begins with -0.0 is the first product alone, to the bit.
        own[OFFSET] = floats.place(np.full(channels, -0.0) if step.offset is None else step.offset)
        own[SLOPE] = floats.place(np.ones(channels) if step.slope is None else step.slope)
        own[WEIGHT], own[SHIFT], own[PAD] = floats.place(step.weight), floats.place(step.shift), step.pad < 0
        own[TERMS], own[FIRST_TERM] = len(step.terms), table.size + terms.place([homes[v] for v in line.terms[s]])
        value, amount = line.added[s]
        own[ADDED], own[AMOUNT] = NOTHING if value == NOTHING else homes[value], floats.place(amount)
        own[TARGET], own[KEPT] = homes[s + 1], uses[s + 1][0] > s or s + 1 == len(line.steps)
        following = line.block_of[min(s + 1, len(line.steps) - 1)]
        own[STATISTIC] = STATISTICS[following.statistic]
        if s + 1 < len(line.steps):
            own[DIRECT] = len(line.steps[s + 1].factor[0]) == 1 and line.terms[s + 1][-1:] == [s + 1]
            own[KEPT] |= not own[DIRECT]
    behind = [sum(line.steps[s].size // 2 for s in stages[g + 1 :]) for g in range(len(stages))]
    return Program(
        np.concatenate([table.ravel(), terms.whole()]),
        np.array([*zip(stages, behind, strict=True), (len(line.steps), 0)], np.int64),
        floats.whole(),
        words.whole(),
        np.stack([pad_words(channels, negative) for negative in (False, True)]),
        channels,
        maps,
        count,
        max(step.factor.shape[1] for step in line.steps),
        homes[-1],
        STATISTICS[blocks[0].statistic],
        any(block.statistic != "none" for block in blocks),
        any(step.slope is not None for step in line.steps),
    )
