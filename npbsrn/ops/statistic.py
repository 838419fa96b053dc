"""The statistic E of BAM's accumulation, by which each term is weighted."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from npbsrn.ops.pending import PendingTerm
from npbsrn.ops.pointwise import Scaled, add
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]

# E of eq. 9: (E's function of A before the mean over channels, that function's derivative) by name
STATISTICS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "abs": (np.abs, np.sign),
    "mean": (lambda a: a, np.ones_like),
}


def weight_by_statistic_ref(a: Array, statistic: str) -> tuple[Array, Callable[..., Array]]:
    """``E(A) * A`` of eq. 9, E a map over the picture: the mean over channels of |A| (or of A).

    With ``e = mean_c f(a)``: ``y = e * a``, hence ``da = e * dy + f'(a) * sum_c(dy * a) / C``.

    Parameters
    ----------
    a : (N, C, H, W)
    statistic : {"abs", "mean", "none"}
        f: the magnitude, the identity; with "none", E = 1.

    Returns
    -------
    y : (N, C, H, W)
    pull : dys -> da
        Of one or more cotangents, whose sum is that of y: in the order given. They may be `Scaled`.
    """
    if statistic == "none":
        return a, lambda *dys: reduce(add, dys)
    function, derivative = STATISTICS[statistic]
    e = _mean_of_channels(function(a))

    def pull(*dys: Array) -> Array:
        dy = reduce(np.add, dys)
        de = np.mean(dy * a, axis=1, keepdims=True)
        return e * dy + derivative(a) * de

    return e * a, pull


def weight_by_statistic(a: Array, statistic: str, may_wait: bool = False) -> tuple[Array, Callable[..., Any]]:
    """``E(A) * A``; compiled for float32. Equal to `weight_by_statistic_ref` to the bit.

    If it `may_wait`, da may be an `npbsrn.ops.pending.PendingTerm`.
    """
    if a.dtype != np.float32 or statistic == "none":
        return weight_by_statistic_ref(a, statistic)
    from npbsrn.kernels.statistic import MOST, statistic_forward

    (n, channels, height, width), magnitudes = a.shape, statistic == "abs"
    flat, shape = np.ascontiguousarray(a).reshape(-1), (n, channels, height * width)
    e, y = np.empty(n * height * width, np.float32), empty(a.shape, np.float32)
    shards = parts_of(n, SHARDS)
    map_parallel(lambda part: statistic_forward(flat, magnitudes, shape, *part, e, y.reshape(-1)), shards)

    def pull(*dys: Array | Scaled) -> Any:
        if len(dys) > MOST:
            dys = reduce(add, map(np.asarray, dys[: 1 - MOST])), *dys[1 - MOST :]
        pairs = [(dy.array, dy.factor) if isinstance(dy, Scaled) else (dy, 1) for dy in dys]
        ds = tuple(np.ascontiguousarray(dy).reshape(-1) for dy, _ in pairs)
        pending = PendingTerm(a.shape, flat, e, ds, tuple(float(factor) for _, factor in pairs), magnitudes)
        return pending if may_wait else np.asarray(pending)

    return y, pull


def _mean_of_channels(x: Array) -> Array:
    """(N, C, H, W) to (N, 1, H, W): the channels added one after another, then divided, as the kernels do it.

    `numpy.mean` does the same but for a picture of one pixel.
    """
    total = np.zeros_like(x[:, :1])
    for c in range(x.shape[1]):
        total += x[:, c : c + 1]
    return total / x.dtype.type(x.shape[1])
