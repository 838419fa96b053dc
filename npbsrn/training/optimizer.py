"""Adam and the moving average of the weights."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from npbsrn.runtime.threads import map_parallel, thread_count
from npbsrn.storage.params import Params, nest

Array = np.ndarray[Any, Any]
Flat = dict[str, Array]

EPSILON = 1e-8


class Vector(dict[str, Array]):
    """Arrays by dotted name, all of them views of one: what is done to every element is one pass over `vector`.

    Parameters
    ----------
    arrays : dict of arrays by dotted name
        Copied. Running averages are put behind all others.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        names = sorted(arrays, key=lambda name: ".running_" in name)  # stable: otherwise in their order
        self.vector = np.concatenate([arrays[name].ravel() for name in names])
        ends = np.cumsum([arrays[name].size for name in names])
        for name, part in zip(names, np.split(self.vector, ends[:-1]), strict=True):
            self[name] = part.reshape(arrays[name].shape)

    def __reduce__(self) -> Any:
        return Vector, (dict(self),)  # so that the arrays of a copy are views of one, too

    @cached_property
    def nested(self) -> Params:
        """The same arrays as a nested dict."""
        return nest(self)

    def mark(self, names: Collection[str]) -> Array:
        """Where in `vector` the arrays of some names lie: (P,) bool."""
        return np.repeat([name in names for name in self], [array.size for array in self.values()])


def adam_ref(
    param: Array, grad: Array, m: Array, v: Array, step: int, rate: float, beta1: float, beta2: float, decay: float
) -> tuple[Array, Array, Array]:
    """One step of Adam on one array, readable: see `adam`.

    Returns
    -------
    param, m, v : new arrays
    """
    grad = grad + decay * param
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1 ** (step + 1))
    v_hat = v / (1 - beta2 ** (step + 1))
    return param - rate * m_hat / (np.sqrt(v_hat) + EPSILON), m, v


def adam(
    params: Vector, grad: Array, m: Vector, v: Vector, step: int, rate: float, beta1: float, beta2: float, decay: float,
    binary_rate: float = 1.0, binary: Array | None = None,
) -> None:  # fmt: skip
    """One step of Adam (Kingma and Ba, ICLR 2015, Algorithm 1), in place.

    Behind the backward pass no pullback holds the weights any more. With ``g = grad + decay * param``,
    ``m = beta1 m + (1 - beta1) g`` and ``v = beta2 v + (1 - beta2) g**2``, both freed of their start at zero by
    ``1 - beta**(step + 1)``: ``param -= rate * m / (sqrt(v) + 1e-8)``.

    Parameters
    ----------
    params, m, v : Vector
        Those of `params` that have no gradient (running averages) stay as they are.
    grad : (P,)
        In the order of ``m.vector``.
    step : int
        Counted from 0.
    rate, beta1, beta2, decay : float
    binary_rate : float
        Factor on the rate of the latent filters of binary convolutions.
    binary : (P,) bool, optional
        Where these are, see `Vector.mark`; by default nowhere.
    """
    from npbsrn.kernels.adam import adam_in_place

    rate1, correct = rate / (1 - beta1 ** (step + 1)), 1 / (1 - beta2 ** (step + 1))
    learned = params.vector[: grad.size]
    binary = np.zeros(grad.size, bool) if binary is None else binary
    numbers = rate1, rate1 * binary_rate, correct, beta1, beta2, decay, EPSILON
    _by_parts(adam_in_place, (learned, grad, m.vector, v.vector, binary), *numbers)


def keep_within(params: Vector, bounds: Mapping[str, float]) -> None:
    """Keep some arrays within +-bound, in place: latent filters beyond a gradient's window would never come back."""
    for name, bound in bounds.items():
        np.clip(params[name], -bound, bound, out=params[name])


def clip_norm(grad: Array, limit: float) -> Array:
    """Scale a gradient down to the norm `limit` where it is longer (Pascanu et al., ICML 2013); 0 for no limit."""
    norm = float(np.sqrt(np.vdot(grad, grad)))
    return grad * grad.dtype.type(limit / norm) if 0 < limit < norm else grad


def moving_average(average: Vector, params: Vector, step: int, decay: float) -> None:
    """Move the exponential moving average of all weights, in place; with a decay of 0 it is the weights themselves.

    Early the decay is ``(1 + step) / (10 + step)``, so that the first weights are soon forgotten.
    """
    from npbsrn.kernels.adam import average_in_place

    if decay == 0:
        average.vector[:] = params.vector
    else:
        _by_parts(average_in_place, (average.vector, params.vector), 1 - min(decay, (1 + step) / (10 + step)))


def _by_parts(function: Callable[..., None], arrays: Sequence[Array], *numbers: float) -> None:
    """Call a kernel that treats each element by itself on parts of the arrays, by several threads."""
    size = len(arrays[0])
    step = -(-size // thread_count())

    def part(first: int) -> None:
        function(*(array[first : first + step] for array in arrays), *numbers)

    map_parallel(part, range(0, size, step))
