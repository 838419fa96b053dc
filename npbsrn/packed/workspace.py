"""The memory that a plan's blocks work in: maps of values, rows of words, and the arrays that all workers share."""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.bits import TILE
from npbsrn.kernels.counts import AT_ONCE
from npbsrn.packed.program import Program
from npbsrn.runtime.buffers import empty

Array = np.ndarray[Any, Any]


class Workspaces(NamedTuple):
    """All workers' workspaces."""

    counts: Array  # (workers, n * C * 32) uint16, n tiles that are counted at once
    sums: Array  # (workers, n * C * 32) float32
    bits: Array  # (workers, N * P * n * 32) uint16
    places: Array  # (workers, 8 or more) int64


def values_size(program: Program, workers: int, height: int, width: int) -> int:
    """The number of floats that values take: maps, and the tiles of each worker."""
    return (
        program.maps * height * -(-width // TILE) + workers * AT_ONCE * (program.homes - program.maps)
    ) * program.tile


def make_values(program: Program, workers: int, height: int, width: int) -> Array:
    """Memory for the maps, followed by the tiles of each worker."""
    return empty((values_size(program, workers, height, width),), np.float32)


def map_of(program: Program, values: Array, home: int, height: int, width: int) -> Array:
    """One map: (H, T, C * 32 or more)."""
    shape = height, -(-width // TILE), program.tile
    size = int(np.prod(shape))
    return values[home * size : (home + 1) * size].reshape(shape)


def make_workspaces(program: Program, workers: int) -> Workspaces:
    """Workspaces, aligned to 64 bytes: a vector that crosses such a boundary takes twice the time."""
    pixels = AT_ONCE * TILE
    size, words = program.channels * pixels, program.bases * program.pads.shape[1] * pixels
    places = max(8, len(program.table))
    return Workspaces(
        empty((workers, size), np.uint16),
        empty((workers, size), np.float32),
        empty((workers, words), np.uint16),
        empty((workers, -(-places // 8) * 8), np.int64),
    )


class Job(NamedTuple):
    """The arguments that all workers share.

    Parameters
    ----------
    values : float32
        See `make_values`; the first map is the feature map, the input of the first step.
    bits : (depth + 1, H + 2, N * P, 32 * T + 2) uint16
        Room for the words that stages take in; `depth` is how many stages go together.
    workspaces : Workspaces
    table, stages, floats, words, pads : arrays
        See `npbsrn.packed.program.Program`.
    sizes : (10,) int64
        Maps, homes, C, the numbers of a tile, H, W, tiles of a strip, the rows that are wanted of the result, from and
        to, and E of the feature map.
    done : (workers, 8) int64
        In the first column, how many tiles of the program's stages each worker has computed: see `tiles_of`.
    weighted, sloped : True or None
    """

    values: Array
    bits: Array
    workspaces: Workspaces
    table: Array
    stages: Array
    floats: Array
    words: Array
    pads: Array
    sizes: Array
    done: Array
    weighted: Any
    sloped: Any


def make_job(
    program: Program, values: Array, workers: int, size: tuple[int, int], depth: int, strip: int, rows: tuple[int, int]
) -> Job:
    """All that `blocks_rows` needs besides the workers.

    Parameters
    ----------
    program : Program
    values : float32
    workers : int
    size : (H, W)
    depth : int
        Stages that sweep over the rows together; each worker must have at least 2 (depth - 1) rows.
    strip : int
        Tiles.
    rows : (top, bottom)
        The wanted rows of the result; each earlier stage computes as many more, above and below, as the stages behind
        it reach.
    """
    height, width = size
    line = -(-width // TILE) * TILE + 2
    sizes = program.maps, program.homes, program.channels, program.tile, height, width, strip, *rows, program.statistic
    return Job(
        values,
        empty((depth + 1, height + 2, program.bases * program.pads.shape[1], line), np.uint16),
        make_workspaces(program, workers),
        program.table,
        program.stages,
        program.floats,
        program.words,
        program.pads,
        np.array(sizes, np.int64),
        np.zeros((workers, 8), np.int64),  # a cache line for each
        True if program.weighted else None,
        True if program.sloped else None,
    )


def tiles_of(program: Program, size: tuple[int, int], rows: tuple[int, int]) -> int:
    """Tiles that all stages compute, see `Job.done`, where these rows of the result are wanted."""
    (height, width), (top, bottom) = size, rows
    count = sum(min(bottom + more, height) - max(top - more, 0) for more in program.stages[:-1, 1])
    return int(count) * -(-width // TILE)
