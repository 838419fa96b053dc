"""LB-blocks of a batch that is divided: the same stages, between which statistics are exchanged.

`npbsrn.fused.lb_blocks` runs the whole chain as one call, whose workers meet where batch normalisation needs the
statistics of the batch. Where others have a part of the batch, each stage is a call of its own.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from npbsrn.fused.backward import FILTERS, INPUTS, backward_stage
from npbsrn.fused.elementwise import Norm
from npbsrn.fused.forward import BEGIN, CONVOLVE, combine, forward_stage
from npbsrn.fused.sample_backward import Grads
from npbsrn.fused.shared import WIDTH, Saved, Weights, from_tiles, to_tiles
from npbsrn.ops.across import count_across, moments_across, sums_across
from npbsrn.ops.norm import with_inverse
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, run_parallel, thread_count

Array = np.ndarray[Any, Any]


def forward_by_shards(
    x: Array, y: Array, words: Array, weights: Weights, saved: Saved, moments: Array, height: int, width: int
) -> None:
    """See `npbsrn.fused.forward.blocks_forward`; the samples are those of this thread's shard."""
    workers = min(thread_count(), SHARDS)
    for sample, tiles in zip(x, saved.inputs[0], strict=True):
        to_tiles(sample, tiles)
    for b in range(len(words)):
        arguments = b, words, weights, saved, moments, height, width
        run_parallel(forward_stage, workers, BEGIN, *arguments)
        for conv in range(3):
            mean, variance, inverse = saved.mean[b, conv], saved.variance[b, conv], saved.inverse[b, conv]
            combine(moments[conv], height * width, mean, inverse, variance)
            mean[:], variance[:], inverse[:] = with_inverse(*moments_across(mean, variance))
            run_parallel(forward_stage, workers, CONVOLVE + conv, *arguments)
    for tiles, sample in zip(saved.inputs[-1], y, strict=True):
        from_tiles(tiles, sample)


def backward_by_shards(
    dy: Array, dx: Array, nibbles: Array, weights: Weights, ste: int, saved: Saved, grads: Grads, height: int,
    width: int,
) -> Iterator[int]:  # fmt: skip
    """See `npbsrn.fused.backward.blocks_backward`; the samples are those of this thread's shard.

    Yields
    ------
    b : int
        A block whose gradients are ready, from the last to the first; with the first one dx is filled.
    """
    workers, n, values = min(thread_count(), SHARDS), len(dy), dy[0].size
    feature_map, dz = empty((n, values), np.float32), empty((3, n, values), np.float32)
    parts = empty((3, SHARDS, 9 * WIDTH**2), np.float32)
    norm = Norm(*(np.empty((3, WIDTH), np.float32) for _ in range(3)))
    for sample, tiles in zip(dy, feature_map, strict=True):
        to_tiles(sample, tiles)
    for b in range(len(nibbles) - 1, -1, -1):
        arguments = b, feature_map, nibbles, weights, ste, saved, dz, norm, parts, grads, height, width
        for conv in (2, 1, 0):
            run_parallel(backward_stage, workers, 2 - conv, *arguments)
            own = [np.sum(by[b, conv].astype(np.float64), axis=0) for by in (grads.gain, grads.shift)]
            count = count_across(n * height * width)
            norm.along_y[conv], norm.along_one[conv] = (sums / count for sums in sums_across(*own))
            norm.factor[conv] = saved.inverse[b, conv] * weights.gain[b, conv]
        run_parallel(backward_stage, workers, INPUTS, *arguments)
        run_parallel(backward_stage, workers, FILTERS, *arguments)
        if b == 0:
            for tiles, sample in zip(feature_map, dx, strict=True):
                from_tiles(tiles, sample)
        yield b
