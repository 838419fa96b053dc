"""A plan's blocks in plain NumPy: what `npbsrn.packed.wavefront` does in tiles, one operation after another."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from npbsrn.kernels.bits import counts_ref, pack_filters, pack_picture
from npbsrn.ops.conv import conv2d
from npbsrn.ops.pointwise import multiply_add, prelu_ref, weight_by_statistic
from npbsrn.packed.plan import Block, Step

Array = np.ndarray[Any, Any]


def blocks_ref(x: Array, blocks: Sequence[Block]) -> Array:
    """Pass the stream through all blocks.

    Steps on bits give the numbers of the layers to the bit. So do steps on float activations, whose convolutions are
    the layers' own.

    Parameters
    ----------
    x : (C, H, W) float32
    blocks : sequence of Block

    Returns
    -------
    y : (C, H, W) float32
    """
    for block in blocks:
        a, terms = x, []
        for step in block.steps:
            terms.append(weight_by_statistic(a[None], block.statistic)[0][0])
            y = _sums(step, terms)
            if step.slope is not None:
                y = prelu_ref(y[None], step.slope)[0][0]
            a = y + a if step.skip else y
        x = a if block.residual is None else multiply_add(a, np.float32(block.residual), x)
    return x


def _sums(step: Step, terms: list[Array]) -> Array:
    """``offset + sum_ij factor_ij S_ij``."""
    y = None if step.offset is None else step.offset[:, None, None]
    inputs = _bits(step, terms) if step.binary else [terms[step.terms[-1]]]
    for signs, row in zip(step.signs, step.factor, strict=True):
        for a, factor in zip(inputs, row, strict=True):
            sums = _count(a, signs, step.pad) if step.binary else _convolve(a, signs)
            y = sums * factor[:, None, None] if y is None else multiply_add(sums, factor[:, None, None], y)
    return y


def _bits(step: Step, terms: list[Array]) -> list[Array]:
    """Where the N bases of the activations are negative."""
    bases = []
    for weights, shift in zip(step.weight, step.shift, strict=True):
        z = np.broadcast_to(shift[:, None, None], terms[0].shape)
        for k, weight in zip(step.terms, weights, strict=True):
            z = multiply_add(terms[k], weight[:, None, None], z)
        bases.append(z < 0)
    return bases


def _count(negative: Array, signs: Array, pad: float) -> Array:
    """Sums of products of signs, from the counts of those that are -1."""
    channels, height, width = negative.shape
    size = signs.shape[-1]
    rows = pack_picture(negative, width + 2, pad < 0)
    counts = counts_ref(rows, pack_filters(signs), size, height, width)
    return channels * size * size - 2 * counts.astype(np.float32)


def _convolve(a: Array, filters: Array) -> Array:
    return conv2d(np.ascontiguousarray(a[None]), filters.astype(np.float32))[0][0]
