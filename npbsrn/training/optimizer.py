"""Adam and the moving average of the weights, on flat dicts of arrays by dotted name."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Flat = dict[str, Array]

EPSILON = 1e-8


def adam(
    params: Flat,
    grads: Flat,
    m: Flat,
    v: Flat,
    step: int,
    rate: float,
    beta1: float,
    beta2: float,
    decay: float,
) -> tuple[Flat, Flat, Flat]:
    """One step of Adam (Kingma and Ba, ICLR 2015, Algorithm 1).

    With ``g = grad + decay * param``, ``m = beta1 m + (1 - beta1) g`` and ``v = beta2 v + (1 - beta2) g**2``, both
    freed of their start at zero by ``1 - beta**(step + 1)``, ``param - rate * m / (sqrt(v) + 1e-8)``.

    Parameters
    ----------
    params, grads, m, v : flat dicts
        Entries of `params` without a gradient (running averages) are handed through.
    step : int
        Counted from 0.
    rate, beta1, beta2, decay : float

    Returns
    -------
    params, m, v : new flat dicts; no array is changed in place
    """
    rate1 = rate / (1 - beta1 ** (step + 1))
    correct2 = 1 / (1 - beta2 ** (step + 1))
    new_params, new_m, new_v = dict(params), {}, {}
    for name, grad in grads.items():
        if decay:
            grad = grad + decay * params[name]
        new_m[name] = beta1 * m[name] + (1 - beta1) * grad
        new_v[name] = beta2 * v[name] + (1 - beta2) * grad * grad
        new_params[name] = params[name] - rate1 * new_m[name] / (np.sqrt(new_v[name] * correct2) + EPSILON)
    return new_params, new_m, new_v


def moving_average(average: Flat, params: Flat, step: int, decay: float) -> Flat:
    """Exponential moving average of all entries; with a decay of 0, the entries themselves.

    Early the decay is ``(1 + step) / (10 + step)``, so that the first weights are soon forgotten.
    """
    if decay == 0:
        return dict(params)
    share = 1 - min(decay, (1 + step) / (10 + step))
    return {name: a + share * (params[name] - a) for name, a in average.items()}
