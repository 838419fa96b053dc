"""Accumulated filters: sum, standardise, take signs; and the backward pass.

In the forward pass, signs and scales must be the same on every CPU, or folding would give a different network on each.
So each operation rounds as written, and sums are made in float64 in the order of `total_by_halves`.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import SUMS, kernel, part

Array = np.ndarray[Any, Any]

EPS = np.float32(1e-5)  # that of npbsrn.ops.norm, which stands above the kernels


@part(forceinline=True)
def total_by_halves(values: Array, count: int) -> float:
    """Sum of the first `count` values, which change, in the order of `npbsrn.ops.sums.total_by_halves`.

    Parameters
    ----------
    values : (J,) float64
    count : int
        At least 1.
    """
    while count > 1:
        half = (count + 1) // 2
        for j in range(count - half):
            values[j] += values[half + j]
        count = half
    return values[0]


@kernel()
def filters_forward(
    terms: tuple[Array, ...], alpha: Array, bits: Array, scale: Array, normal: Array, inverse: Array
) -> None:
    """``bits = sign(BN(sum_k alpha_k terms_k))``, ``scale = mean|terms_last|``, by rows.

    Gives the bytes of `npbsrn.ops.filters.binary_filters_ref`.

    Parameters
    ----------
    terms : K arrays (O, J) float32
        The last are the convolution's own filters.
    alpha : (K,) float32
    bits, normal : (O, J) float32
        Filled: signs, and what they are signs of.
    scale, inverse : (O,) float32
        Filled; ``inverse = 1 / sqrt(variance + eps)``.
    """
    outputs, size = bits.shape
    own = terms[len(terms) - 1]
    wide = np.empty(size, np.float64)
    for o in range(outputs):
        row = normal[o]
        for k in range(len(terms)):
            term, a = terms[k][o], alpha[k]
            if k == 0:
                for j in range(size):
                    row[j] = term[j] * a
            else:
                for j in range(size):
                    row[j] += term[j] * a
        for j in range(size):
            wide[j] = abs(own[o, j])
        scale[o] = total_by_halves(wide, size) / size
        for j in range(size):
            wide[j] = row[j]
        mean = np.float32(total_by_halves(wide, size) / size)
        for j in range(size):
            row[j] -= mean
            wide[j] = row[j] * row[j]
        variance = np.float32(total_by_halves(wide, size) / size)
        inverse[o] = np.float32(1) / np.sqrt(variance + EPS)
        for j in range(size):
            row[j] *= inverse[o]
            bits[o, j] = np.float32(1) if row[j] >= 0 else np.float32(-1)


@kernel(fastmath=SUMS)
def filters_backward(
    terms: tuple[Array, ...], alpha: Array, normal: Array, inverse: Array, dbits: Array, dscale: Array, dtotal: Array,
    down: Array, dalpha: Array,
) -> None:  # fmt: skip
    """Pull back `filters_forward`, the signs by the STE "identity".

    These sums may be reordered: no sign of the step depends on them, and gradients differ in last bits by the CPU.

    Parameters
    ----------
    terms, alpha, normal, inverse
        As there.
    dbits : (O, J) float32
    dscale : (O,) float32
    dtotal : (O, J) float32
        Filled: the cotangent of the sum; that of a term is alpha_k times it.
    down : (O, J) float32
        Filled: what the scale sends to the own filters.
    dalpha : (K,) float64
        Filled.
    """
    outputs, size = normal.shape
    count = np.float32(size)
    for k in range(len(terms)):
        dalpha[k] = 0
    for o in range(outputs):
        along_one, along_y = np.float32(0), np.float32(0)
        for j in range(size):
            along_one += dbits[o, j]
            along_y += dbits[o, j] * normal[o, j]
        along_one /= count
        along_y /= count
        for j in range(size):
            dtotal[o, j] = (dbits[o, j] - along_one - normal[o, j] * along_y) * inverse[o]
        for k in range(len(terms)):
            part = np.float32(0)
            term = terms[k][o]
            for j in range(size):
                part += term[j] * dtotal[o, j]
            dalpha[k] += part
        own, shard = terms[len(terms) - 1][o], dscale[o] / count
        for j in range(size):
            down[o, j] = shard if own[j] > 0 else (-shard if own[j] < 0 else np.float32(0))
