"""The backward pass of one convolution of an LB-block for one sample.

The sample is processed in pairs of rows that stay in the caches: first the cotangent of the counts, then both products
by tables (`npbsrn.kernels.tables`), then the gradient of the sign.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.fused.elementwise import (
    Norm,
    Workspace,
    activation_back,
    cotangent_of_counts,
    magnitude_back,
    norm_back,
    sign_back,
)  # fmt: skip
from npbsrn.fused.shared import GROUPS, WIDTH, Saved, Weights, activate
from npbsrn.kernels import tables as look_up
from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load
from npbsrn.kernels.pixel_tables import MOST, ROWS, filters_back, pixel_nibbles, pixel_tables
from npbsrn.kernels.signed_sums import add_to
from npbsrn.kernels.simd import LANES

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
def grads_of(grads: Grads, b: int) -> Grads:
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
def sample_back(
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
def input_back(
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
