"""Element-wise operations: PReLU, alone and behind a shift, per-channel scales, mean magnitudes, weighted sums."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.ops.sums import mean_over
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import SHARDS, map_parallel, parts_of

Array = np.ndarray[Any, Any]


def prelu_ref(x: Array, slope: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """Parametric ReLU: x where x > 0, ``slope * x`` elsewhere (He et al., ICCV 2015, eq. 1).

    Parameters
    ----------
    x : (N, C, H, W)
    slope : (C,)

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dslope); at x = 0 the slope is taken
    """
    slopes = slope[:, None, None]
    positive = x > 0
    y = np.where(positive, x, x * slopes)

    def pull(dy: Array) -> tuple[Array, Array]:
        dx = np.where(positive, dy, dy * slopes)
        return dx, np.sum(np.minimum(x, 0) * dy, axis=(0, 2, 3))

    return y, pull


def prelu(x: Array, slope: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """Parametric ReLU; compiled for float32. Equal to `prelu_ref` to the bit, except for dslope."""
    if x.dtype != np.float32 or slope.dtype != np.float32:
        return prelu_ref(x, slope)
    y, pull = shifted_prelu(x, slope, np.full(len(slope), -0.0, np.float32))
    return y, lambda dy: pull(dy)[:2]


def shifted_prelu_ref(
    x: Array, slope: Array, shift: Array
) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """``PReLU(x + shift)``, the first two of the three steps of RPReLU (Liu et al., ReActNet, ECCV 2020).

    Parameters
    ----------
    x : (N, C, H, W)
    slope, shift : (C,)

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dslope, dshift); dshift is dx, summed
    """
    y, pull_prelu = prelu_ref(x + shift[:, None, None], slope)

    def pull(dy: Array) -> tuple[Array, Array, Array]:
        dx, dslope = pull_prelu(dy)
        return dx, dslope, np.sum(dx, axis=(0, 2, 3))

    return y, pull


def shifted_prelu(x: Array, slope: Array, shift: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """PReLU behind a shift; compiled for float32. Equal to `shifted_prelu_ref` to the bit, except for the sums."""
    if any(array.dtype != np.float32 for array in (x, slope, shift)):
        return shifted_prelu_ref(x, slope, shift)
    from npbsrn.kernels.pointwise import prelu_backward, prelu_forward

    n, channels, *sides = x.shape
    flat, y = np.ascontiguousarray(x).reshape(-1), empty(x.shape, np.float32)
    fixed = slope, shift, (n, channels, sides[0] * sides[1])
    map_parallel(lambda part: prelu_forward(flat, *fixed, *part, y.reshape(-1)), parts_of(n, SHARDS))

    def pull(dy: Array) -> tuple[Array, Array, Array]:
        d, dx = np.ascontiguousarray(dy).reshape(-1), empty(x.shape, np.float32)
        dslope, dshift = np.empty_like(slope), np.empty_like(shift)
        out = dx.reshape(-1), dslope, dshift
        map_parallel(lambda part: prelu_backward(flat, d, *fixed, *part, *out), parts_of(channels, PARTS))
        return dx, dslope, dshift

    return y, pull


@dataclass(frozen=True)
class Scaled:
    """An array times a number that is not multiplied yet: who reads it does so, and no product passes through memory.

    `numpy.asarray` multiplies for all others.
    """

    array: Array
    factor: Any

    @property
    def dtype(self) -> Any:
        """Of the product."""
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the product."""
        return self.array.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        product = scale(self.array, self.factor)
        return product if dtype is None else product.astype(dtype, copy=False)


PARTS = 8  # of channels or elements: fixed, so that no sum depends on the number of threads
FEW = 2**17  # numbers, such as filters: to wake other threads would take longer than to add them


def add(x: Array, y: Array) -> Array:
    """``x + y`` of two arrays of one shape, or of what `numpy.asarray` makes one."""
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype != np.float32 or y.dtype != np.float32 or x.shape != y.shape or x.size < FEW:
        return x + y
    from npbsrn.kernels.pointwise import add as add_parts

    out, flat = empty(x.shape, np.float32), (np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1))
    map_parallel(lambda part: add_parts(*flat, *part, out.reshape(-1)), parts_of(out.size, PARTS))
    return out


def scale(x: Array, factor: float) -> Array:
    """``x * factor``, a scalar that takes the dtype of `x`."""
    if x.dtype != np.float32:
        return x * x.dtype.type(factor)
    from npbsrn.kernels.pointwise import scale as scale_parts

    out, flat = empty(x.shape, np.float32), np.ascontiguousarray(x).reshape(-1)
    map_parallel(lambda part: scale_parts(flat, np.float32(factor), *part, out.reshape(-1)), parts_of(x.size, PARTS))
    return out


def multiply_add(x: Array, factor: Any, y: Array) -> Array:
    """``x * factor + y``; in float32 rounded once, as by a processor's fused operation.

    For pictures and a scalar it is compiled. Otherwise it uses float64, in which the product of two float32 numbers is
    exact; the rounding of the sum matters only within one part in 2**29 of the midpoint between two float32.

    Parameters
    ----------
    x, y : arrays of one shape and dtype, or of shapes that broadcast
    factor : scalar or array

    Returns
    -------
    sum : dtype of `x`
    """
    if x.dtype != np.float32:
        return x * factor + y
    if x.ndim == 4 and np.ndim(factor) == 0 and y.dtype == np.float32 and x.shape == y.shape:
        from npbsrn.kernels.pointwise import fused_sum

        out = empty(x.shape, np.float32)
        flat = np.ascontiguousarray(x).reshape(-1), np.float32(factor), np.ascontiguousarray(y).reshape(-1)
        map_parallel(lambda part: fused_sum(*flat, *part, out.reshape(-1)), parts_of(x.size, PARTS))
        return out
    return (x.astype(np.float64) * np.asarray(factor, np.float32) + y).astype(np.float32)


def scale_channels(x: Array, scale: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """Multiply each channel by its scale.

    Parameters
    ----------
    x : (N, C, H, W)
    scale : (C,)

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dscale)
    """
    y = x * scale[:, None, None]

    def pull(dy: Array) -> tuple[Array, Array]:
        return dy * scale[:, None, None], np.sum(dy * x, axis=(0, 2, 3))

    return y, pull


def mean_magnitude(w: Array) -> tuple[Array, Callable[[Array], Array]]:
    """E(|W|) of eq. 3: the mean of |w| over each output channel.

    Parameters
    ----------
    w : (O, I, kh, kw)

    Returns
    -------
    scale : (O,)
    pull : dscale -> dw; the derivative of |w| at 0 is 0
    """
    scale = mean_over(np.abs(w), (1, 2, 3)).ravel()

    def pull(dscale: Array) -> Array:
        return np.sign(w) * (dscale / w[0].size)[:, None, None, None]

    return scale, pull


def weighted_sum(terms: Sequence[Array], weights: Array) -> tuple[Array, Callable[[Array], tuple[list[Array], Array]]]:
    """``sum_k weights[k] * terms[k]``: the accumulation of eq. 3 and eq. 9.

    Parameters
    ----------
    terms : K arrays of one shape
    weights : (K,)

    Returns
    -------
    y : like a term
    pull : dy -> (cotangents of the terms, dweights)
    """
    y = terms[0] * weights[0]
    for term, weight in zip(terms[1:], weights[1:], strict=True):
        y = y + term * weight

    def pull(dy: Array) -> tuple[list[Array], Array]:
        dweights = np.array([np.vdot(term, dy) for term in terms], weights.dtype)
        return [dy * weight for weight in weights], dweights

    return y, pull
