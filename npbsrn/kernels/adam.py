"""Adam and the moving average, each in one pass over memory."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel

Array = np.ndarray[Any, Any]


@kernel()
def adam_in_place(
    p: Array, g: Array, m: Array, v: Array, binary: Array, rate: float, binary_rate: float, correct: float,
    beta1: float, beta2: float, decay: float, epsilon: float,
) -> None:  # fmt: skip
    """``p -= rate * m / (sqrt(correct * v) + epsilon)`` behind the update of m and v; all of one length and dtype.

    `binary` says by a bool for each element where the rate is `binary_rate`.
    """
    kind = p.dtype.type
    old1, new1, old2, new2 = kind(beta1), kind(1 - beta1), kind(beta2), kind(1 - beta2)
    rate, binary_rate = kind(rate), kind(binary_rate)
    correct, decay, epsilon = kind(correct), kind(decay), kind(epsilon)
    for i in range(g.size):
        grad = g[i] + decay * p[i]
        m[i] = old1 * m[i] + new1 * grad
        v[i] = old2 * v[i] + new2 * grad * grad
        own_rate = binary_rate if binary[i] else rate
        p[i] -= own_rate * m[i] / (np.sqrt(v[i] * correct) + epsilon)


@kernel()
def average_in_place(average: Array, p: Array, shard: float) -> None:
    """``average += shard * (p - average)``."""
    part = p.dtype.type(shard)
    for i in range(p.size):
        average[i] += part * (p[i] - average[i])
