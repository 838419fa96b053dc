"""Shared by the forward and the backward pass of LB-blocks: their arrays, their workers, and the activations.

The arrays of a picture are in tiles: 48 channels of 16 pixels, then those of the next 16, so that pixels processed
together lie together. Channel c of the 16 pixels from p on begins at ``48 p + 16 c``.
"""

from typing import Any, NamedTuple

import numpy as np

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import load, store
from npbsrn.kernels.simd import LANES, divide, magnitude, select, splat, to_float
from npbsrn.ops.norm import EPS as EPS_OF_NORM
from npbsrn.runtime.threads import SHARDS

Array = np.ndarray[Any, Any]

WIDTH = 48  # channels of LB-blocks: 3 vectors, 3 words of 16 bits
GROUPS = WIDTH // 4
EPS = np.float32(EPS_OF_NORM)
ZERO, ONE, TWO = np.float32(0), np.float32(1), np.float32(2)
TAPS3, TAPS1 = np.float32(9 * WIDTH), np.float32(WIDTH)  # products in one output value
MEAN = np.float32(1 / WIDTH)  # over the channels, in the backward pass
ABS, SIGNED, NONE = 0, 1, 2  # E of eq. 9: the mean of |A|, the mean of A, or 1


class Weights(NamedTuple):
    """What the convolutions of B blocks are made of; in the kernels of one block, without the first axis.

    Parameters
    ----------
    scale : (B, 3, 48) float32
        E(|W|) of each output channel.
    slope : (B, 2, 48) float32
        PReLU's.
    beta : (B, 3, 3) float32
        ``beta[n, k]``: the weight of A_k in the sum that convolution n binarizes.
    gain, shift : (B, 3, 48) float32
        BN's.
    residual : float32
    statistic : int
        `ABS`, `SIGNED` or `NONE`.
    """

    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array
    residual: np.float32
    statistic: int


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass; everything else is computed again.

    Parameters
    ----------
    inputs : (B + 1, N, H * W * 48) float32
        Of each block, and the last one's output.
    totals : (B, 3, N, H * W * 48) float32
        What BN takes in: the accumulated activations.
    counts : (B, 3, N, H * W * 48) uint16
        Products of -1 in each output value: a value is ``taps - 2 * count``.
    bits : (B, 3, N, 3 * (H + 2) * (W + 2)) uint16
        The binarized activations, bit j of plane g for channel 16 g + j, set where it is -1; around the picture +1.
    mean, inverse, variance : (B, 3, 48) float32
        The batch's statistics, ``inverse = 1 / sqrt(variance + eps)``.
    """

    inputs: Array
    totals: Array
    counts: Array
    bits: Array
    mean: Array
    inverse: Array
    variance: Array


@part(forceinline=True)
def weights_of(weights: Weights, b: int) -> Weights:
    """Those of one block."""
    return Weights(
        weights.scale[b], weights.slope[b], weights.beta[b], weights.gain[b], weights.shift[b], weights.residual,
        weights.statistic,
    )  # fmt: skip


@part(forceinline=True)
def saved_of(saved: Saved, b: int) -> Saved:
    """What is kept of one block."""
    return Saved(
        saved.inputs[b], saved.totals[b], saved.counts[b], saved.bits[b], saved.mean[b], saved.inverse[b],
        saved.variance[b],
    )  # fmt: skip


@kernel()
def to_tiles(x: Array, tiles: Array) -> None:
    """(48, H * W) in tiles."""
    for place in range(0, x.shape[1], LANES):
        for c in range(WIDTH):
            store(tiles, WIDTH * place + LANES * c, load(x, c * x.shape[1] + place))


@kernel()
def from_tiles(tiles: Array, x: Array) -> None:
    """The inverse of `to_tiles`."""
    for place in range(0, x.shape[1], LANES):
        for c in range(WIDTH):
            store(x, c * x.shape[1] + place, load(tiles, WIDTH * place + LANES * c))


@kernel()
def shard_start(shard: int, samples: int) -> int:
    """First sample of a shard."""
    return samples * shard // SHARDS


@part(forceinline=True)
def value(counts: Array, place: int, conv: int) -> Any:
    """Sums of 16 products of signs each, from their counts; of 3x3 or 1x1 filters."""
    return to_float(load(counts, place)) * np.float32(-2) + (TAPS3 if conv == 0 else TAPS1)


@part(forceinline=True)
def activate(x: Array, counts: Array, k: int, place: int, weights: Weights, out: Array) -> Any:
    """A_k at 16 pixels into `out` (48, 16): the block's input, or PReLU of convolution k - 1; gives E(A_k)."""
    e = splat(ZERO)
    for c in range(WIDTH):
        at = WIDTH * place + LANES * c
        if k == 0:
            a = load(x, at)
        else:
            y = value(counts, at, k - 1) * weights.scale[k - 1, c]
            a = select(y > ZERO, y, y * weights.slope[k - 1, c])
        store(out, c * LANES, a)
        e = e + (magnitude(a) if weights.statistic == ABS else a)
    return splat(ONE) if weights.statistic == NONE else divide(e, TAPS1)
