"""The backward pass of a chain of LB-blocks, convolution by convolution, from the last to the first."""

from typing import Any

import numpy as np

from npbsrn.fused.elementwise import Norm, Workspace, make_workspace, take_totals
from npbsrn.fused.sample_backward import Grads, grads_of, input_back, sample_back
from npbsrn.fused.shared import WIDTH, Saved, Weights, from_tiles, saved_of, shard_start, to_tiles, weights_of
from npbsrn.kernels.barrier import wait
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.pixel_tables import transpose16
from npbsrn.kernels.simd import LANES, total
from npbsrn.runtime.threads import SHARDS

Array = np.ndarray[Any, Any]


@kernel()
def _batch_means(conv: int, grads: Grads, weights: Weights, saved: Saved, count: int, norm: Norm) -> None:
    """What BN's backward pass needs of the whole batch, in the order of the samples."""
    for c in range(WIDTH):
        along_y, along_one = 0.0, 0.0
        for s in range(grads.gain.shape[1]):
            along_y += grads.gain[conv, s, c]
            along_one += grads.shift[conv, s, c]
        norm.along_y[conv, c], norm.along_one[conv, c] = along_y / count, along_one / count
        norm.factor[conv, c] = saved.inverse[conv, c] * weights.gain[conv, c]


@kernel()
def _betas_back(grads: Grads, s: int, k: int, workspace: Workspace) -> None:
    """By sample: the sums of the lanes, then zero for the next sample."""
    for n in range(k, 3):
        grads.beta[s, n, k] = total(load(workspace.betas, n * LANES))
    workspace.betas[:] = 0


@kernel()
def _add_shards(parts: Array, taps: int, worker: int, workers: int, out: Array, workspace: Workspace) -> None:
    """Sum of the shards' (I * taps, O), in their order, to (O, I * taps); each worker does some rows."""
    rows = WIDTH * taps
    values, sums = parts.ravel(), workspace.turned
    for j in range(LANES * worker, rows, LANES * workers):
        for o in range(0, WIDTH, LANES):
            for row in range(LANES):
                place = (j + row) * WIDTH + o
                part = load(values, place)
                for shard in range(1, SHARDS):
                    part = part + load(values, shard * parts.shape[1] + place)
                store(sums, row * LANES, part)
            transpose16(sums, 0, LANES, out, o * rows + j, rows)


@part(forceinline=True)
def _convolution_back(
    conv: int, low: int, high: int, height: int, width: int, dy: Array, nibbles: Array, weights: Weights, ste: int,
    saved: Saved, dz: Array, norm: Norm, parts: Array, grads: Grads, workspace: Workspace,
) -> None:  # fmt: skip
    """All samples of the shards `low` to `high`."""
    n = dy.shape[0]
    for shard in range(low, high):
        for s in range(shard_start(shard, n), shard_start(shard + 1, n)):
            sample_back(
                conv, s, height, width, dy, nibbles[conv], weights, ste, saved, dz, norm, parts[conv, shard], workspace
            )
            take_totals(workspace.sums, 0, grads.scale[conv, s])
            take_totals(workspace.sums, WIDTH * LANES, grads.slope[conv, s])
            take_totals(workspace.normed, 0, grads.gain[conv, s])
            take_totals(workspace.normed, WIDTH * LANES, grads.shift[conv, s])
            if conv < 2:
                _betas_back(grads, s, conv + 1, workspace)


@part(forceinline=True)
def _inputs_back(
    low: int, high: int, pixels: int, weights: Weights, saved: Saved, dz: Array, norm: Norm, feature_map: Array,
    grads: Grads, workspace: Workspace,
) -> None:  # fmt: skip
    """`input_back` of all samples of the shards `low` to `high`."""
    n = feature_map.shape[0]
    for s in range(shard_start(low, n), shard_start(high, n)):
        input_back(s, pixels, weights, saved, dz, norm, feature_map, workspace)
        _betas_back(grads, s, 0, workspace)


@part(forceinline=True)
def _filters_back(parts: Array, worker: int, workers: int, grads: Grads, workspace: Workspace) -> None:
    """Cotangents of all filters from those of the shards."""
    _add_shards(parts[0], 9, worker, workers, grads.filters3, workspace)
    _add_shards(parts[1], 1, worker, workers, grads.filters1[0], workspace)
    _add_shards(parts[2], 1, worker, workers, grads.filters1[1], workspace)


@kernel()
def _block_back(
    worker: int, workers: int, barrier: Array, height: int, width: int, feature_map: Array, nibbles: Array,
    weights: Weights, ste: int, saved: Saved, dz: Array, norm: Norm, parts: Array, grads: Grads, workspace: Workspace,
) -> None:  # fmt: skip
    """One block: in `feature_map` the cotangent of its output becomes that of its input."""
    n, pixels = feature_map.shape[0], height * width
    low, high = SHARDS * worker // workers, SHARDS * (worker + 1) // workers
    parts[:, low:high] = 0
    # one after another with a constant, so that each becomes code of its own: a tenth of the backward pass
    _convolution_back(
        2, low, high, height, width, feature_map, nibbles, weights, ste, saved, dz, norm, parts, grads, workspace
    )
    wait(barrier, workers)
    _batch_means(2, grads, weights, saved, n * pixels, norm)
    _convolution_back(
        1, low, high, height, width, feature_map, nibbles, weights, ste, saved, dz, norm, parts, grads, workspace
    )
    wait(barrier, workers)
    _batch_means(1, grads, weights, saved, n * pixels, norm)
    _convolution_back(
        0, low, high, height, width, feature_map, nibbles, weights, ste, saved, dz, norm, parts, grads, workspace
    )
    wait(barrier, workers)
    _batch_means(0, grads, weights, saved, n * pixels, norm)
    _inputs_back(low, high, pixels, weights, saved, dz, norm, feature_map, grads, workspace)
    _filters_back(parts, worker, workers, grads, workspace)


@kernel()
def blocks_backward(
    worker: int, workers: int, barrier: Array, dy: Array, dx: Array, nibbles: Array, weights: Weights, ste: int,
    saved: Saved, feature_map: Array, dz: Array, parts: Array, grads: Grads, height: int, width: int,
) -> None:  # fmt: skip
    """One worker's shard of a chain of blocks.

    Parameters
    ----------
    worker, workers, barrier
        See `npbsrn.runtime.threads.run_parallel`.
    dy, dx : (N, 48, H * W) float32
        Cotangents of output and input.
    nibbles : (B, 3, 48 * 112) uint8
        Of the filters; see `npbsrn.kernels.tables.filter_nibbles`.
    weights : Weights
    ste : int
        `IDENTITY`, `CLIP` or `BIREAL`.
    saved : Saved
    feature_map : (N, H * W * 48) float32
        Memory for that of the feature map between the blocks.
    dz : (3, N, H * W * 48) float32
        Memory for the cotangents of BN's results, then of its inputs.
    parts : (2, 3, SHARDS, 48 * 9 * 48) float32
        Memory for the shards' cotangents of filters, of two blocks in turn: those of one are summed while another
        worker begins with the next.
    grads : Grads
        Filled here; `slope` must be zero.
    height, width : int
    """
    n = dy.shape[0]
    workspace = make_workspace(height, width)
    norm = Norm(np.empty((3, WIDTH), np.float32), np.empty((3, WIDTH), np.float32), np.empty((3, WIDTH), np.float32))
    first, last = shard_start(SHARDS * worker // workers, n), shard_start(SHARDS * (worker + 1) // workers, n)
    for s in range(first, last):
        to_tiles(dy[s], feature_map[s])
    for b in range(nibbles.shape[0] - 1, -1, -1):
        _block_back(
            worker, workers, barrier, height, width, feature_map, nibbles[b], weights_of(weights, b), ste,
            saved_of(saved, b), dz, norm, parts[b % 2], grads_of(grads, b), workspace,
        )  # fmt: skip
    for s in range(first, last):
        from_tiles(feature_map[s], dx[s])


INPUTS, FILTERS = 3, 4  # stages of a block: its convolutions 2, 1 and 0, then its inputs, then the sum of the shards


@kernel()
def backward_stage(
    worker: int, workers: int, barrier: Array, stage: int, b: int, feature_map: Array, nibbles: Array,
    weights: Weights, ste: int, saved: Saved, dz: Array, norm: Norm, parts: Array, grads: Grads, height: int,
    width: int,
) -> None:  # fmt: skip
    """One worker's shard of one stage of block b, for a batch of which others have a part.

    Parameters
    ----------
    stage : int
        0, 1 or 2 for convolution 2, 1 or 0; `INPUTS`, or `FILTERS`.
    norm : Norm
        Of the whole batch; behind the stage of a convolution the caller fills in its part, as `_batch_means` does.
    parts : (3, SHARDS, 48 * 9 * 48) float32
    worker, workers, barrier, feature_map, nibbles, weights, ste, saved, dz, grads, height, width
        See `blocks_backward`.
    """
    low, high = SHARDS * worker // workers, SHARDS * (worker + 1) // workers
    own, kept, out = weights_of(weights, b), saved_of(saved, b), grads_of(grads, b)
    workspace = make_workspace(height, width)
    if stage == 0:
        parts[:, low:high] = 0
    if stage == 0:
        _convolution_back(
            2, low, high, height, width, feature_map, nibbles[b], own, ste, kept, dz, norm, parts, out, workspace
        )
    if stage == 1:
        _convolution_back(
            1, low, high, height, width, feature_map, nibbles[b], own, ste, kept, dz, norm, parts, out, workspace
        )
    if stage == 2:
        _convolution_back(
            0, low, high, height, width, feature_map, nibbles[b], own, ste, kept, dz, norm, parts, out, workspace
        )
    if stage == INPUTS:
        _inputs_back(low, high, height * width, own, kept, dz, norm, feature_map, out, workspace)
    if stage == FILTERS:
        _filters_back(parts, worker, workers, out, workspace)
