"""LB-blocks as one operation: their binary convolutions, fused, on bits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.ops.across import synchronized
from npbsrn.ops.conv import conv2d_ref
from npbsrn.ops.norm import affine, standardize
from npbsrn.ops.pointwise import prelu_ref, scale_channels, weighted_sum
from npbsrn.ops.sign import binarize
from npbsrn.ops.statistic import weight_by_statistic_ref
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, run_parallel, thread_count

Array = np.ndarray[Any, Any]

CHANNELS = 48
SIZES = (3, 1, 1)


@dataclass(frozen=True)
class LBWeights:
    """What the three convolutions of an LB-block are made of; also the form of its cotangents.

    Parameters
    ----------
    filters : three arrays (48, 48, k, k), +-1
        Of 3x3, 1x1 and 1x1.
    scale : (3, 48)
        E(|W|) of each output channel.
    slope : (2, 48)
        PReLU's, behind the first and the second convolution.
    beta : (3, 3)
        ``beta[n, k]`` is the weight of A_k in the sum that convolution n binarizes; 0 for k > n.
    gain, shift : (3, 48)
        BN's, of each convolution's input.
    """

    filters: Sequence[Array]
    scale: Array
    slope: Array
    beta: Array
    gain: Array
    shift: Array


LBPull = Callable[[Array], tuple[Array, LBWeights]]
LBPulls = Callable[[Array], tuple[Array, "list[LBWeights] | InTurn"]]


def lb_block_ref(
    x: Array, weights: LBWeights, residual: float, statistic: str = "abs", ste: str = "clip"
) -> tuple[Array, tuple[Array, Array], LBPull]:
    """The block as a composition of readable operations; see `lb_blocks`."""
    terms, backs, moments = [], [], []
    a = x
    for n in range(3):
        term, pull_term = weight_by_statistic_ref(a, statistic)
        terms.append(term)
        total, pull_total = weighted_sum(tuple(terms), weights.beta[n, : n + 1])
        normal, mean, variance, pull_normal = standardize(total, (0, 2, 3))
        z, pull_z = affine(normal, weights.gain[n], weights.shift[n])
        bits, pull_bits = binarize(z, ste)
        counts, pull_counts = conv2d_ref(bits, weights.filters[n], pad_value=1.0)
        a, pull_scale = scale_channels(counts, weights.scale[n])
        pull_act = None
        if n < 2:
            a, pull_act = prelu_ref(a, weights.slope[n])
        moments.append((mean.ravel(), variance.ravel()))
        backs.append((pull_term, pull_total, pull_normal, pull_z, pull_bits, pull_counts, pull_scale, pull_act))
    y = x + a * x.dtype.type(residual)

    def pull(dy: Array) -> tuple[Array, LBWeights]:
        dfilters: list[Array] = [x] * 3
        dscale, dgain, dshift = (np.empty_like(weights.scale) for _ in range(3))
        dslope, dbeta = np.empty_like(weights.slope), np.zeros_like(weights.beta)
        dterms = [np.zeros_like(x) for _ in range(3)]
        da = dy * dy.dtype.type(residual)
        for n in (2, 1, 0):
            pull_term, pull_total, pull_normal, pull_z, pull_bits, pull_counts, pull_scale, pull_act = backs[n]
            if pull_act is not None:
                da, dslope[n] = pull_act(da)
            dcounts, dscale[n] = pull_scale(da)
            dbits, dfilters[n], _ = pull_counts(dcounts)
            dnormal, dgain[n], dshift[n] = pull_z(pull_bits(dbits))
            parts, dbeta[n, : n + 1] = pull_total(pull_normal(dnormal))
            for k, part in enumerate(parts):
                dterms[k] = dterms[k] + part
            da = pull_term(dterms[n])
        return dy + da, LBWeights(dfilters, dscale, dslope, dbeta, dgain, dshift)

    means, variances = (np.stack(m) for m in zip(*moments, strict=True))
    return y, (means, variances), pull


def lb_blocks_ref(
    x: Array, weights: Sequence[LBWeights], residual: float, statistic: str = "abs", ste: str = "clip"
) -> tuple[Array, list[tuple[Array, Array]], LBPulls]:
    """The chain as a composition of readable blocks; see `lb_blocks`."""
    moments, pulls = [], []
    for own in weights:
        x, moment, pull_block = lb_block_ref(x, own, residual, statistic, ste)
        moments.append(moment)
        pulls.append(pull_block)

    def pull(dy: Array) -> tuple[Array, list[LBWeights]]:
        grads = []
        for pull_block in reversed(pulls):
            dy, own = pull_block(dy)
            grads.append(own)
        return dy, grads[::-1]

    return x, moments, pull


def lb_blocks(
    x: Array, weights: Sequence[LBWeights], residual: float, statistic: str = "abs", ste: str = "clip"
) -> tuple[Array, list[tuple[Array, Array]], LBPulls]:
    """Chain of LB-blocks in training, with the batch's statistics.

    Each block is ``x + residual * convolutions(x)``: with A_1 = x, for n = 1, 2, 3:
    ``Z = BN(sum_k beta[n, k] E(A_k) A_k)``, ``C = conv(sign(Z), filters[n])`` padded with +1,
    ``A_{n+1} = PReLU(scale[n] C)``, the last without PReLU.

    Kept for the backward pass are each block's input, the sums that BN takes in, the counts, and the bits; the rest is
    computed again. The result and the cotangents do not depend on the number of threads. They differ from
    `lb_blocks_ref` by the order of float32 sums. All blocks are one operation, since at 8 patches of 16x16 handing a
    block over to the threads takes as long as a tenth of its work.

    Parameters
    ----------
    x : (N, 48, H, W) float32, W a multiple of 16
    weights : sequence of LBWeights
        Of each block, float32.
    residual : float
    statistic : {"abs", "mean", "none"}
        E of eq. 9; see `npbsrn.ops.statistic.weight_by_statistic`.
    ste : {"clip", "identity", "bireal"}
        Stand-in for the gradient of the sign.

    Returns
    -------
    y : (N, 48, H, W) float32
    moments : list of (means, variances), each (3, 48)
        Of what each block's BNs took in; the variances are the biased ones.
    pull : dy -> (dx, dweights)
        A list of them by block; or, where the batch is divided, `InTurn`.
    """
    from npbsrn.fused.backward import blocks_backward
    from npbsrn.fused.by_shards import backward_by_shards, forward_by_shards
    from npbsrn.fused.forward import blocks_forward
    from npbsrn.fused.shared import Weights

    n, _, height, width = x.shape
    flat = np.ascontiguousarray(x).reshape(n, CHANNELS, height * width)
    words, nibbles = _pack(weights)
    stacked = (np.stack([getattr(w, name) for w in weights]) for name in ("scale", "slope", "beta", "gain", "shift"))
    scale, slope, beta, gain, shift = stacked
    own = Weights(scale, slope, beta, gain, shift, np.float32(residual), STATISTICS.index(statistic))
    saved = _allocate_saved(len(weights), n, height, width)
    workers, divided = min(thread_count(), SHARDS), synchronized() is not None
    y, moments = empty(flat.shape, np.float32), np.empty((3, n, CHANNELS, 2), np.float32)
    if not divided:
        run_parallel(blocks_forward, workers, flat, y, words, own, saved, moments, height, width)
    else:
        forward_by_shards(flat, y, words, own, saved, moments, height, width)

    def pull(dy: Array) -> tuple[Array, "list[LBWeights] | InTurn"]:
        cotangent = np.ascontiguousarray(dy).reshape(flat.shape)
        dx, grads, number = empty(flat.shape, np.float32), _allocate_grads(len(weights), n), STES.index(ste)
        if divided:
            ready = backward_by_shards(cotangent, dx, nibbles, own, number, saved, grads, height, width)
            return dx.reshape(x.shape), InTurn(
                _sum_grads(type(grads)(*(d[b : b + 1] for d in grads)))[0] for b in ready
            )
        feature_map, dz = empty((n, flat[0].size), np.float32), empty((3, n, flat[0].size), np.float32)
        parts = empty((2, 3, SHARDS, 9 * CHANNELS**2), np.float32)
        run_parallel(
            blocks_backward, workers, cotangent, dx, nibbles, own, number, saved, feature_map, dz, parts, grads, height,
            width,
        )  # fmt: skip
        return dx.reshape(x.shape), _sum_grads(grads)

    return y.reshape(x.shape), list(zip(saved.mean, saved.variance, strict=True)), pull


class InTurn:
    """What comes back to each block, computed when it is asked for, from the last to the first, and dx with that.

    So gradients of some blocks are on their way while those of others are computed.
    """

    def __init__(self, blocks: Iterator[LBWeights]) -> None:
        self._blocks = blocks

    def __reversed__(self) -> Iterator[LBWeights]:
        return self._blocks


STATISTICS = ("abs", "mean", "none")  # in the order of the kernels' numbers
STES = ("identity", "clip", "bireal")


def _pack(weights: Sequence[LBWeights]) -> tuple[Array, Array]:
    """Filters in the two forms in which the kernels read them."""
    from npbsrn.kernels.popcount import pack_filters
    from npbsrn.kernels.tables import filter_nibbles, nibbles_size

    words = np.empty((len(weights), 3, CHANNELS * 27), np.uint32)
    nibbles = np.empty((len(weights), 3, nibbles_size(CHANNELS, CHANNELS, 3)), np.uint8)
    for own, word, nibble in zip(weights, words, nibbles, strict=True):
        for n, w in enumerate(own.filters):
            pack_filters(w, word[n])
            filter_nibbles(w, nibble[n])
    return words, nibbles


def _allocate_saved(blocks: int, n: int, height: int, width: int) -> Any:
    from npbsrn.fused.shared import Saved

    values, size = height * width * CHANNELS, 3 * (height + 2) * (width + 2)
    bits = empty((blocks * 3 * n * size + 16,), np.uint16)  # vectors look beyond the end
    bits[:] = 0
    return Saved(
        empty((blocks + 1, n, values), np.float32),
        empty((blocks, 3, n, values), np.float32),
        empty((blocks, 3, n, values), np.uint16),
        bits[:-16].reshape(blocks, 3, n, size),
        *(np.empty((blocks, 3, CHANNELS), np.float32) for _ in range(3)),
    )


def _allocate_grads(blocks: int, n: int) -> Any:
    from npbsrn.fused.sample_backward import Grads

    return Grads(
        empty((blocks, CHANNELS, CHANNELS * 9), np.float32),
        empty((blocks, 2, CHANNELS, CHANNELS), np.float32),
        np.zeros((blocks, 3, n, CHANNELS), np.float32),
        np.zeros((blocks, 3, n, CHANNELS), np.float32),
        np.zeros((blocks, n, 3, 3), np.float32),
        np.zeros((blocks, 3, n, CHANNELS), np.float32),
        np.zeros((blocks, 3, n, CHANNELS), np.float32),
    )


def _sum_grads(grads: Any) -> list[LBWeights]:
    """Over samples, in their order; by block."""
    scale, slope, gain, shift = (np.sum(d, axis=2) for d in (grads.scale, grads.slope, grads.gain, grads.shift))
    beta = np.sum(grads.beta, axis=1)
    shape3, shape1 = (CHANNELS, CHANNELS, 3, 3), (CHANNELS, CHANNELS, 1, 1)
    return [
        LBWeights([d3.reshape(shape3), *(d.reshape(shape1) for d in d1)], *rest)
        for d3, d1, *rest in zip(grads.filters3, grads.filters1, scale, slope[:, :2], beta, gain, shift, strict=True)
    ]
