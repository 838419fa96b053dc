"""The backward pass of LB-blocks.

It goes block by block and convolution by convolution, from the last to the first. Each sample is processed in pairs of
rows that stay in the caches: first the cotangent of the counts, then both products by tables (`npbsrn.kernels.tables`),
then the gradient of the sign.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.fused.elementwise import (
    Norm,
    Workspace,
    activation_back,
    cotangent_of_counts,
    magnitude_back,
    make_workspace,
    norm_back,
    sign_back,
    take_totals,
)  # fmt: skip
from npbsrn.fused.shared import (
    GROUPS,
    WIDTH,
    Saved,
    Weights,
    activate,
    from_tiles,
    saved_of,
    shard_start,
    to_tiles,
    weights_of,
)  # fmt: skip
from npbsrn.kernels import tables as look_up
from npbsrn.kernels.barrier import wait
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.pixel_tables import MOST, ROWS, filters_back, pixel_nibbles, pixel_tables, transpose16
from npbsrn.kernels.signed_sums import add_to
from npbsrn.kernels.simd import LANES, total
from npbsrn.runtime.threads import SHARDS

Array = np.ndarray[Any, Any]


class Grads(NamedTuple):
    """Cotangents of B blocks; in the kernels of one block, without the first axis.

    Parameters
    ----------
    filters3 : (B, 48, 48 * 9) float32
        Of the 3x3 filters' signs.
    filters1 : (B, 2, 48, 48) float32
    scale : (B, 3, N, 48) float32
        This and the following are by sample, to be summed.
    slope : (B, 3, N, 48) float32
        The last is zero.
    beta : (B, N, 3, 3) float32
    gain, shift : (B, 3, N, 48) float32
    """

    filters3: Array
    filters1: Array
    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array


@part(forceinline=True)
def _grads_of(grads: Grads, b: int) -> Grads:
    """Those of one block."""
    return Grads(
        grads.filters3[b], grads.filters1[b], grads.scale[b], grads.slope[b], grads.beta[b], grads.gain[b],
        grads.shift[b],
    )  # fmt: skip


@part(forceinline=True)
def _products(
    conv: int, y: int, rows: int, height: int, width: int, nibbles: Array, dz: Array, dw: Array, workspace: Workspace
) -> None:
    """Both products of two rows of the counts' cotangents, ``workspace.g``.

    Of a 3x3 convolution dX is complete up to the row before. It goes to `dz`, (H * W * 48) in tiles.
    """
    for row in range(rows):
        for left in range(0, width, LANES):
            look_up.row_tables(workspace.g, row * width + left, ROWS * width, GROUPS, workspace.inputs)
            if conv == 0:
                look_up.spread_row(
                    workspace.inputs, nibbles, 0, GROUPS, WIDTH, left, y + row, width, True, workspace.ring
                )
            else:
                place = WIDTH * ((y + row) * width + left)
                look_up.spread_1x1(workspace.inputs, nibbles, 0, GROUPS, WIDTH, True, dz, place, LANES)
        if conv == 0 and y + row > 0:
            look_up.join_row(workspace.ring, y + row - 1, WIDTH, width, dz, WIDTH * (y + row - 1) * width, LANES, WIDTH)
    if conv == 0 and y + rows == height:
        look_up.join_row(workspace.ring, height - 1, WIDTH, width, dz, WIDTH * (height - 1) * width, LANES, WIDTH)
    size = 3 if conv == 0 else 1
    for left in range(0, width, LANES):
        pixel_tables(workspace.g, 0, MOST, left, rows, width, workspace.turned, workspace.filters)
        filters_back(workspace.nibbles, 0, WIDTH, workspace.filters, MOST, y, left, height, width, size, dw, 0)


@part(forceinline=True)
def _sample_back(
    conv: int, s: int, height: int, width: int, dy: Array, nibbles: Array, weights: Weights, ste: int, saved: Saved,
    dz: Array, norm: Norm, dw: Array, workspace: Workspace,
) -> None:  # fmt: skip
    """From the cotangent behind convolution `conv` to that of BN's result before it, ``dz[conv, s]``."""
    pixel_nibbles(saved.bits[conv, s], 0, 3, height, width + 2, width, workspace.nibbles, 0)
    if conv == 0:
        workspace.ring[: 3 * WIDTH * (width + 2 * LANES)] = 0  # row 0, which no row before it begins
    done = 0  # pixels of dX
    for y in range(0, height, ROWS):
        rows = min(ROWS, height - y)
        for row in range(rows):
            for left in range(0, width, LANES):
                place, target = (y + row) * width + left, row * width + left
                cotangent_of_counts(conv, s, place, target, ROWS * width, dy, weights, saved, dz, norm, workspace)
        _products(conv, y, rows, height, width, nibbles, dz[conv, s], dw, workspace)
        ready = y + rows - (1 if conv == 0 and y + rows < height else 0)
        for place in range(done, ready * width, LANES):
            sign_back(dz[conv, s], saved.totals[conv, s], conv, place, saved, weights, ste, workspace)
        done = ready * width


@kernel()
def _input_back(
    s: int, pixels: int, weights: Weights, saved: Saved, dz: Array, norm: Norm, feature_map: Array, workspace: Workspace
) -> None:
    """The block's own input: the shortcut, which is what `feature_map` holds, and A_0's part in all three sums."""
    for place in range(0, pixels, LANES):
        norm_back(dz[0, s], saved.totals[0, s], 0, place, saved, norm)
        e = activate(saved.inputs[s], saved.counts[0, s], 0, place, weights, workspace.a)
        side = activation_back(dz, s, 0, place, e, weights, workspace)
        for c in range(WIDTH):
            at, a, ds = WIDTH * place + LANES * c, load(workspace.a, c * LANES), load(workspace.ds, c * LANES)
            add_to(feature_map[s], at, magnitude_back(a, ds, e, side, weights.statistic))


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
            _sample_back(
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
    """`_input_back` of all samples of the shards `low` to `high`."""
    n = feature_map.shape[0]
    for s in range(shard_start(low, n), shard_start(high, n)):
        _input_back(s, pixels, weights, saved, dz, norm, feature_map, workspace)
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
            saved_of(saved, b), dz, norm, parts[b % 2], _grads_of(grads, b), workspace,
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
    own, kept, out = weights_of(weights, b), saved_of(saved, b), _grads_of(grads, b)
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
