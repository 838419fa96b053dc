"""LB-blocks on bits in plain NumPy: what `npbsrn.packed.wavefront` does in tiles, one operation after another."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from npbsrn.kernels.bits import counts_ref, pack_filters, pack_picture
from npbsrn.ops.pointwise import multiply_add, prelu_ref
from npbsrn.packed.lower import ABS, Coefficients

Array = np.ndarray[Any, Any]


def blocks_ref(x: Array, signs: Sequence[Array], own: Coefficients) -> Array:
    """Pass the stream through all blocks.

    Parameters
    ----------
    x : (C, H, W) float32
    signs : list of 3 arrays (B, C, C, k, k), +-1
    own : Coefficients

    Returns
    -------
    y : (C, H, W) float32
    """
    for b in range(len(own.scale)):
        a, terms = x, []
        for n, filters in enumerate(signs):
            terms.append(_weighted(a, own.statistic))
            z = own.shift[b, n, :, None, None]
            for k, term in enumerate(terms):
                z = multiply_add(term, own.weight[b, n, k, :, None, None], z)
            a = _convolve(z < 0, filters[b]) * own.scale[b, n, :, None, None]
            if n < 2 and own.slope is not None:
                a = prelu_ref(a[None], own.slope[b, n])[0][0]
        x = multiply_add(a, own.residual, x)
    return x


def _weighted(a: Array, statistic: int | None) -> Array:
    """``E(A) * A``; the channels are added one after another, as the layers and the kernel do it."""
    if statistic is None:
        return a
    total = np.zeros_like(a[0])
    for channel in a:
        total += np.abs(channel) if statistic == ABS else channel
    return total / a.dtype.type(len(a)) * a


def _convolve(negative: Array, signs: Array) -> Array:
    """Sums of products of signs, from the counts of those that are -1; around the picture is +1."""
    channels, height, width = negative.shape
    size = signs.shape[-1]
    counts = counts_ref(pack_picture(negative, width + 2), pack_filters(signs), size, height, width)
    return channels * size * size - 2 * counts.astype(np.float32)
