"""What comes back to a binary convolution's filters, from the sums that its backward pass leaves."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel, part
from npbsrn.kernels.memory import hold, load, memory, put, scalar, store
from npbsrn.kernels.signed_sums import aligned
from npbsrn.kernels.simd import LANES, contracted, splat, total

Array = np.ndarray[Any, Any]

ZERO = np.float32(0)


@part(forceinline=True)
def _add_shards(dw: Any, shards: int, whole: int, first: int, group: int, size: int, out: Any) -> None:
    """``out[k] = sum_s dw[s * whole + first + k * group]``."""
    if group == 1:
        for k in range(0, size, LANES):
            value = load(dw, first + k)
            for shard in range(1, shards):
                value = value + load(dw, shard * whole + first + k)
            store(out, k, value)
    else:
        for k in range(size):
            value = scalar(dw, first + k * group)
            for shard in range(1, shards):
                value += scalar(dw, shard * whole + first + k * group)
            put(out, k, value)


@part(forceinline=True)
def _product(x: Any, first: int, y: Any, size: int) -> Any:
    """``<x[first :+size], y>``."""
    sums = splat(ZERO)
    for k in range(0, size, LANES):
        sums = contracted(load(x, first + k), load(y, k), sums)
    return total(sums)


@kernel()
def filters_back(
    dw: Array, group: int, taps: int, signs: Array, scales: Array, coefs: Array, constant: Array, dsigns: Array,
    dfactors: Array, dscales: Array,
) -> None:  # fmt: skip
    """Cotangents by filter of ``sum_i scales[i] signs[i]``, of which each is filled.

    With ``P_j`` the sums of dy times signs of base j: ``dsigns[i] = scales[i] t`` and ``dscales[i] = <signs[i], t>``
    of ``t = constant + sum_j coefs[j] P_j``; and ``dfactors[i, j] = <signs[i], P_j>``.

    Parameters
    ----------
    dw : (shards, N * O * k * k * C) float32
        Each (N, O / group, k * k, C, group): parts of P. The shards are added in their order.
    group : int
    taps : {1, 9}
    signs : (M, O, C * k * k) float32
    scales : (M, O) float32
    coefs : (N,) float32
    constant : (O,) float32
    dsigns : like `signs`
    dfactors : (M, N, O) float32
    dscales : (M, O) float32
    """
    bases, (filters, outputs, size) = len(coefs), signs.shape
    inputs, whole = size // taps, dw.shape[1]
    room = aligned(3 * size)
    added, products, own = memory(room), memory(room[size:]), memory(room[2 * size :])
    parts, bits, given = memory(dw), memory(signs), memory(dsigns)
    for o in range(outputs):
        for k in range(0, size, LANES):
            store(own, k, splat(constant[o]))
        for j in range(bases):
            first = (j * outputs + o - o % group) * size + o % group
            _add_shards(parts, len(dw), whole, first, group, size, added)
            for t in range(taps):
                for c in range(inputs):
                    put(products, c * taps + t, scalar(added, t * inputs + c))
            for k in range(0, size, LANES):
                store(own, k, contracted(load(products, k), coefs[j], load(own, k)))
            for i in range(filters):
                dfactors[i, j, o] = _product(bits, (i * outputs + o) * size, products, size)
        for i in range(filters):
            at, scale = (i * outputs + o) * size, scales[i, o]
            dscales[i, o] = _product(bits, at, own, size)
            for k in range(0, size, LANES):
                store(given, at + k, load(own, k) * scale)
    hold(room)
