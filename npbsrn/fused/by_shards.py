"""LB-blocks for a batch that is divided: the same stages, between which statistics are exchanged.

`npbsrn.fused.lb_blocks` runs the whole chain as one call, whose workers meet where batch normalisation needs the
statistics of the batch. Where others have a part of that, each stage is a call of its own. Statistics are made of the
same numbers by sample, in the same order: so they are those of the undivided batch, to the bit.
"""

from typing import Any

import numpy as np

from npbsrn.fused.backward import FILTERS, INPUTS, Grads, backward_stage, batch_means
from npbsrn.fused.elementwise import Norm
from npbsrn.fused.forward import BEGIN, CONVOLVE, combine, forward_stage
from npbsrn.fused.shared import WIDTH, Saved, Weights, from_tiles, saved_of, to_tiles, weights_of
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.shards import Shard
from npbsrn.runtime.threads import SHARDS, run_parallel, thread_count

Array = np.ndarray[Any, Any]


def forward_by_shards(
    shard: Shard, x: Array, y: Array, words: Array, weights: Weights, saved: Saved, moments: Array, height: int,
    width: int,
) -> None:  # fmt: skip
    """See `npbsrn.fused.forward.blocks_forward`; the samples are those of one shard."""
    workers, pixels = min(thread_count(), SHARDS), height * width
    for sample, tiles in zip(x, saved.inputs[0], strict=True):
        to_tiles(sample, tiles)
    for b in range(len(words)):
        arguments = b, words, weights, saved, moments, height, width
        run_parallel(forward_stage, workers, BEGIN, *arguments)
        for conv in range(3):
            everyones = shard.gather(moments[conv]).reshape(-1, WIDTH, 2)
            combine(everyones, pixels, saved.mean[b, conv], saved.inverse[b, conv], saved.variance[b, conv])
            run_parallel(forward_stage, workers, CONVOLVE + conv, *arguments)
    for tiles, sample in zip(saved.inputs[-1], y, strict=True):
        from_tiles(tiles, sample)


def backward_by_shards(
    shard: Shard, dy: Array, dx: Array, nibbles: Array, weights: Weights, ste: int, saved: Saved, grads: Grads,
    height: int, width: int,
) -> None:  # fmt: skip
    """See `npbsrn.fused.backward.blocks_backward`; the samples are those of one shard."""
    workers, n, values = min(thread_count(), SHARDS), len(dy), dy[0].size
    feature_map, dz = empty((n, values), np.float32), empty((3, n, values), np.float32)
    parts = empty((3, SHARDS, 9 * WIDTH**2), np.float32)
    norm = Norm(*(np.empty((3, WIDTH), np.float32) for _ in range(3)))
    for sample, tiles in zip(dy, feature_map, strict=True):
        to_tiles(sample, tiles)
    for b in range(len(nibbles) - 1, -1, -1):
        arguments = b, feature_map, nibbles, weights, ste, saved, dz, norm, parts, grads, height, width
        own, kept = weights_of(weights, b), saved_of(saved, b)
        for conv in (2, 1, 0):
            run_parallel(backward_stage, workers, 2 - conv, *arguments)
            sums = shard.gather(np.stack([grads.gain[b, conv], grads.shift[b, conv]]))  # (shards, 2, n, 48)
            gains, shifts = (np.ascontiguousarray(sums[:, k]).reshape(-1, WIDTH) for k in (0, 1))
            batch_means(conv, gains, shifts, own, kept, shard.count * n * height * width, norm)
        run_parallel(backward_stage, workers, INPUTS, *arguments)
        run_parallel(backward_stage, workers, FILTERS, *arguments)
    for tiles, sample in zip(feature_map, dx, strict=True):
        from_tiles(tiles, sample)
