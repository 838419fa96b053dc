"""A plan's blocks on bits, 32 pixels at a time.

Values pass through all steps as float32, in tiles of 32 pixels, one channel after another. Within a stage (see
`npbsrn.packed.program`) only the first convolution looks at other pixels, and it needs only their bits. So everything
that a stage does to a tile is done while the tile is in the L1 cache.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from npbsrn.kernels.barrier import given_up, wait
from npbsrn.kernels.bits import TILE
from npbsrn.kernels.counts import AT_ONCE, count1, count3
from npbsrn.kernels.jit import inlined, kernel, part
from npbsrn.kernels.memory import memory, put, scalar
from npbsrn.packed.epilogues import (
    Bits,
    Result,
    Workspace,
    add_counts,
    mean_of,
    result_alone,
    result_to_bits,
    result_with_mean,
    to_bits,
)
from npbsrn.packed.program import (
    ADDED,
    AMOUNT,
    BASES,
    DIRECT,
    FACTOR,
    FIELDS,
    FILTERS,
    FIRST_TERM,
    FIRST_WORD,
    KEPT,
    NOTHING,
    OFFSET,
    PAD,
    SHIFT,
    SIZE,
    SLOPE,
    STATISTIC,
    TARGET,
    TERMS,
    WEIGHT,
    WORDS,
)
from npbsrn.packed.workspace import Job

Array = np.ndarray[Any, Any]


class Walk(NamedTuple):
    """The memory that the steps read and write."""

    values: Any  # float32: the maps (M, H, tiles, tile), then the workers' workspaces
    bits: Any  # (slots, H + 2, N * planes, line) uint16
    words: Any
    floats: Any
    table: Any
    stages: Any
    pads: Any
    workspace: int  # where this worker's values of a tile begin
    maps: int
    channels: int
    tile: int
    height: int
    width: int
    tiles: int
    slots: int
    bases: int
    planes: int
    line: int
    steps: int


@intrinsic
def _field(typing: Any, walk: Any, step: Any, name: Any) -> Any:
    """``walk.table[step * FIELDS + name]``; as a function Numba would compile it once for each name, a constant."""
    table = walk.fields.index("table")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = builder.add(builder.mul(args[1], ir.Constant(args[1].type, FIELDS)), args[2])
        return builder.load(builder.gep(builder.extract_value(args[0], table), [at]))

    return types.int64(walk, types.intp, types.intp), codegen


@inlined
def _place(walk: Walk, home: int, y: int, t: int) -> int:
    """The place of a value's tile; in a worker's workspace there are as many tiles as are counted at once."""
    if home == NOTHING:
        return NOTHING
    if home >= walk.maps:
        return walk.workspace + ((home - walk.maps) * AT_ONCE + t % AT_ONCE) * walk.tile
    return ((home * walk.height + y) * walk.tiles + t) * walk.tile


@inlined
def _place_of_bits(walk: Walk, stage: int, y: int) -> int:
    """The place of the words above and to the left of row y's first pixel, as a stage reads them."""
    return (stage % walk.slots * (walk.height + 2) + y) * walk.bases * walk.planes * walk.line


@inlined
def _pad(walk: Walk, step: int, first: int, begin: int, end: int) -> None:
    """Write the padding into some columns of a row of words, for all bases."""
    around = _field(walk, step, PAD) * walk.planes
    for plane in range(_field(walk, step, BASES) * walk.planes):
        for v in range(begin, end):
            put(walk.bits, first + plane * walk.line + v, scalar(walk.pads, around + plane % walk.planes))


@part()
def _pad_row(walk: Walk, stage: int, y: int, begin: bool, end: bool) -> None:
    """Write the padding around a row of words, and over what the last tile left there."""
    step = scalar(walk.stages, 2 * stage)
    if begin:
        _pad(walk, step, _place_of_bits(walk, stage, y + 1), 0, 1)
        if y == 0:
            _pad(walk, step, _place_of_bits(walk, stage, 0), 0, walk.line)
        if y == walk.height - 1:
            _pad(walk, step, _place_of_bits(walk, stage, y + 2), 0, walk.line)
    if end:
        _pad(walk, step, _place_of_bits(walk, stage, y + 1), walk.width + 1, walk.line)


@inlined
def _bits_of(walk: Walk, step: int, base: int, where: int, plane: int) -> Bits:
    terms = _field(walk, step, TERMS)
    return Bits(
        walk.channels,
        terms,
        _field(walk, step, WEIGHT) + base * terms * walk.channels,
        _field(walk, step, SHIFT) + base * walk.channels,
        where + base * walk.planes * plane,
        plane,
    )


@inlined
def _find_terms(walk: Walk, step: int, y: int, t: int, workspace: Workspace) -> None:
    first = _field(walk, step, FIRST_TERM)
    for k in range(_field(walk, step, TERMS)):
        put(workspace.places, k, _place(walk, scalar(walk.table, first + k), y, t))


@part()
def _bits_row(y: int, walk: Walk, weighted: Any, statistic: int, workspace: Workspace) -> None:
    """Words of a row of the feature map, for the first step."""
    for t in range(walk.tiles):
        if weighted is not None:
            mean_of(walk.channels, statistic, _place(walk, 0, y, t), walk.values)
        _find_terms(walk, 0, y, t, workspace)
        for base in range(_field(walk, 0, BASES)):
            own = _bits_of(walk, 0, base, _place_of_bits(walk, 0, y + 1) + t * TILE + 1, walk.line)
            to_bits(own, weighted, walk.floats, walk.values, workspace, walk.bits)
    _pad_row(walk, np.int64(0), y, np.bool_(True), np.bool_(True))  # literals would be compiled as a case of their own


@inlined
def _count(
    walk: Walk, s: int, inner: bool, filters: int, base: int, place: int, tiles: int, workspace: Workspace
) -> None:  # fmt: skip
    """One convolution of step s, on words in rows or, with `inner`, on those of a 1x1 step in the workspace."""
    planes, channels, first = walk.planes, walk.channels, _field(walk, s, FIRST_WORD) + filters * _field(walk, s, WORDS)
    place += base * planes * walk.line
    row = walk.bases * planes * walk.line
    if _field(walk, s, SIZE) == 3:
        count3(walk.bits, place, row, walk.line, planes, tiles, walk.words, first, channels, workspace.counts)
    else:
        bits, plane, at = walk.bits, walk.line, place + row + 1
        if inner:
            bits, plane, at = workspace.bits, AT_ONCE * TILE, base * planes * AT_ONCE * TILE
        count1(bits, at, plane, planes, tiles, walk.words, first, channels, workspace.counts)


@inlined
def _step(
    s: int, inner: bool, last: bool, before: int, after: int, y: int, t: int, tiles: int, walk: Walk, weighted: Any,
    sloped: Any, workspace: Workspace,
) -> None:  # fmt: skip
    """One step at some tiles, from their words to those of the next step.

    Both are in rows, unless the step is `inner`, and unless it is not its stage's `last`.
    """
    channels, bases, filters = walk.channels, _field(walk, s, BASES), _field(walk, s, FILTERS)
    taps = np.float32(channels * _field(walk, s, SIZE) * _field(walk, s, SIZE))
    factor, offset, single = _field(walk, s, FACTOR), _field(walk, s, OFFSET), bases * filters == 1
    for i in range(filters):
        for j in range(bases):
            _count(walk, s, inner, i, j, before, tiles, workspace)
            if not single:
                own = factor + (i * bases + j) * channels
                for n in range(tiles):
                    at = n * channels * TILE
                    add_counts(i + j == 0, at, taps, channels, walk.floats, own, offset, workspace)
    for n in range(tiles):
        result = Result(
            channels, n * channels * TILE, single, taps, factor, offset, _field(walk, s, SLOPE),
            _place(walk, _field(walk, s, ADDED), y, t + n), scalar(walk.floats, _field(walk, s, AMOUNT)),
            _place(walk, _field(walk, s, TARGET), y, t + n), _field(walk, s, KEPT) == 1,
        )  # fmt: skip
        _finish(s, last, n * TILE, after + n * TILE, y, t + n, result, walk, weighted, sloped, workspace)


@inlined
def _finish(
    s: int, last: bool, own: int, after: int, y: int, t: int, result: Result, walk: Walk, weighted: Any, sloped: Any,
    workspace: Workspace,
) -> None:  # fmt: skip
    """A step's result at one tile, and the words that the next step reads."""
    if s + 1 == walk.steps:
        result_alone(result, sloped, walk.floats, walk.values, workspace)
        return
    _find_terms(walk, s + 1, y, t, workspace)
    bits, where, plane = workspace.bits, own, AT_ONCE * TILE
    if last:
        bits, where, plane = walk.bits, after, walk.line
    begin = 0
    if weighted is not None:
        result_with_mean(result, _field(walk, s, STATISTIC), sloped, walk.floats, walk.values, workspace)
    elif _field(walk, s, DIRECT) == 1:
        begin = 1
        result_to_bits(
            result, _bits_of(walk, s + 1, 0, where, plane), sloped, walk.floats, walk.values, workspace, bits
        )
    else:
        result_alone(result, sloped, walk.floats, walk.values, workspace)
    for base in range(begin, _field(walk, s + 1, BASES)):
        to_bits(_bits_of(walk, s + 1, base, where, plane), weighted, walk.floats, walk.values, workspace, bits)


@part()
def _stage_row(
    stage: int, y: int, begin: int, end: int, walk: Walk, weighted: Any, sloped: Any, workspace: Workspace
) -> None:
    """A stage at some tiles of a row, and the words that the next stage reads there."""
    first, behind = scalar(walk.stages, 2 * stage), scalar(walk.stages, 2 * stage + 2)
    before, after = _place_of_bits(walk, stage, y), _place_of_bits(walk, stage + 1, y + 1) + 1
    for t in range(begin, end, AT_ONCE):
        tiles, at = min(AT_ONCE, end - t), t * TILE
        for s in range(first, behind):
            last = s + 1 == behind
            _step(s, s > first, last, before + at, after + at, y, t, tiles, walk, weighted, sloped, workspace)
    if behind < walk.steps:
        _pad_row(walk, stage + 1, y, begin == 0, end == walk.tiles)


@kernel()
def blocks_rows(worker: int, workers: int, barrier: Array, job: Job) -> None:
    """One worker's rows of all blocks.

    Several stages sweep over the rows together, each one row behind the one before it. A wide picture is processed in
    one strip of tiles after another, each stage as many tiles to the left of the one before it as are counted at once.
    So the rows of the maps stay in the L2 cache from stage to stage, and the words that a stage reads are ready. At the
    end of a worker's rows, each stage must stop one row before the previous one; the remaining triangle of rows and
    stages is computed when the workers on both sides have reached it.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.runtime.threads.run_parallel`.
    job : Job
    """
    n = job.sizes
    maps, homes, channels, tile, height, width, strip = n[0], n[1], n[2], n[3], n[4], n[5], n[6]
    top, bottom, statistic = n[7], n[8], n[9]
    slots, _, lines, line = job.bits.shape
    planes = job.pads.shape[1]
    stages, tiles = len(job.stages) - 1, -(-width // TILE)
    walk = Walk(
        memory(job.values), memory(job.bits), memory(job.words), memory(job.floats), memory(job.table),
        memory(job.stages), memory(job.pads), (maps * height * tiles + worker * AT_ONCE * (homes - maps)) * tile, maps,
        channels, tile, height, width, tiles, slots, lines // planes, planes, line, job.stages[stages, 0],
    )  # fmt: skip
    workspaces, depth, weighted, sloped = job.workspaces, slots - 1, job.weighted, job.sloped
    workspace = Workspace(
        memory(workspaces.counts[worker]), memory(workspaces.sums[worker]), memory(workspaces.bits[worker]),
        memory(workspaces.places[worker]),
    )  # fmt: skip
    begin, end = height * worker // workers, height * (worker + 1) // workers
    above, below, shift = int(worker > 0), int(worker < workers - 1), AT_ONCE * int(strip < tiles)
    for y in range(begin, end):
        _bits_row(y, walk, weighted, statistic, workspace)
    for first in range(0, stages, depth):
        levels = min(depth, stages - first)
        wait(barrier, workers)
        for left in range(0, tiles + shift * (levels - 1), strip):
            for step in range(begin, end + levels - 1):
                if given_up(barrier):
                    return
                for level in range(levels):
                    y, here, more = step - level, left - shift * level, job.stages[first + level, 1]
                    low, high = max(here, 0), min(here + strip, tiles)
                    own_row = begin + above * level <= y < end - below * level
                    if own_row and top - more <= y < bottom + more and low < high:
                        _stage_row(first + level, y, low, high, walk, weighted, sloped, workspace)
                        job.done[worker, 0] += high - low
        wait(barrier, workers)
        for level in range(1, levels):
            more = job.stages[first + level, 1]
            for y in range(max(begin - level, top - more), min(begin + level, bottom + more)):
                if above:
                    # a literal 0 would be compiled once more, as a case of its own
                    _stage_row(first + level, y, np.int64(0), tiles, walk, weighted, sloped, workspace)
                    job.done[worker, 0] += tiles
