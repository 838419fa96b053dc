"""Batch normalisation, of activations and of filters."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npbsrn.ops.across import count_across, moments_across, sums_across, synchronized
from npbsrn.ops.pending import Pending, by_channel_of
from npbsrn.ops.pointwise import prelu
from npbsrn.ops.sums import mean_over
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import map_parallel

Array = np.ndarray[Any, Any]

EPS = 1e-5
MOMENTUM = 0.1  # share of the newest batch in the running averages


def standardize(x: Array, axes: tuple[int, ...]) -> tuple[Array, Array, Array, Callable[[Array], Array]]:
    """Shift and scale to zero mean and unit variance over `axes`.

    ``y = (x - m) / s`` with ``s = sqrt(var + eps)``. Both m and s depend on every x, so with means over `axes`
    ``dx = (dy - mean(dy) - y * mean(dy * y)) / s``:
    the cotangent loses its part along the constant (through m) and along y (through s).

    Parameters
    ----------
    x : array
    axes : tuple of int
        (0, 2, 3) for activations (N, C, H, W), whose batch may be divided, see `npbsrn.ops.across`; (1, 2, 3) for
        filters (O, I, kh, kw).

    Returns
    -------
    y : like x
    mean, variance : like x with extents 1 at `axes`; the variance is the biased one
    pull : dy -> dx

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch normalization", ICML 2015; Appendix of the same for the backward pass.
    """
    mean = mean_over(x, axes)
    centred = x - mean
    variance = mean_over(centred * centred, axes)
    batch = 0 in axes
    if batch and synchronized():
        mean, variance = moments_across(mean, variance)
        centred = x - mean
    inverse = 1 / np.sqrt(variance + EPS)
    y = centred * inverse
    count = count_across(y.size // mean.size) if batch else y.size // mean.size

    def pull(dy: Array) -> Array:
        sums = (np.sum(d, axis=axes, keepdims=True) for d in (dy, dy * y))
        along_one, along_y = (total / dy.dtype.type(count) for total in (sums_across(*sums) if batch else sums))
        return (dy - along_one - y * along_y) * inverse

    return y, mean, variance, pull


def affine(x: Array, gain: Array, shift: Array) -> tuple[Array, Callable[[Array], tuple[Array, Array, Array]]]:
    """One gain and one shift per channel: ``y = gain * x + shift``.

    Parameters
    ----------
    x : (N, C, H, W)
    gain, shift : (C,)

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dgain, dshift)
    """
    y = x * gain[:, None, None] + shift[:, None, None]

    def pull(dy: Array) -> tuple[Array, Array, Array]:
        return dy * gain[:, None, None], np.sum(dy * x, axis=(0, 2, 3)), np.sum(dy, axis=(0, 2, 3))

    return y, pull


def move_running(running: tuple[Array, Array], mean: Array, variance: Array, count: int) -> None:
    """Move running averages towards a batch's mean and sample variance by `MOMENTUM`, in place.

    Parameters
    ----------
    running : (mean, variance), each (C,)
    mean, variance : (C,)
        Of the batch; the variance is the biased one.
    count : int
        Values of each channel in the batch.
    """
    running_mean, running_variance = running
    running_mean += MOMENTUM * (mean - running_mean)
    running_variance += MOMENTUM * (variance * (count / max(count - 1, 1)) - running_variance)


NormPull = Callable[[Array], tuple[Array, Array, Array]]


def batch_norm_ref(
    x: Array, gain: Array, shift: Array, running: tuple[Array, Array], train: bool
) -> tuple[Array, NormPull]:
    """Batch normalisation over (N, H, W) with a learned gain and shift per channel.

    Parameters
    ----------
    x : (N, C, H, W)
    gain, shift : (C,)
    running : (mean, variance), each (C,)
        Running averages. In training they are moved towards the batch's by `MOMENTUM`, in place: the one side effect
        of any operation, on arrays that no pullback holds. Otherwise they take the place of the batch's statistics.
    train : bool

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dgain, dshift)
    """
    if train:
        normal, mean, variance, pull_normal = standardize(x, (0, 2, 3))
        move_running(running, mean.ravel(), variance.ravel(), count_across(x.size // x.shape[1]))
    else:
        running_mean, running_variance = running
        inverse = 1 / np.sqrt(running_variance + EPS)
        normal, pull_fixed = affine(x, inverse, -running_mean * inverse)

        def pull_normal(dy: Array) -> Array:
            return pull_fixed(dy)[0]

    y, pull_affine = affine(normal, gain, shift)

    def pull(dy: Array) -> tuple[Array, Array, Array]:
        dnormal, dgain, dshift = pull_affine(dy)
        return pull_normal(dnormal), dgain, dshift

    return y, pull


def with_inverse(mean: Array, variance: Array) -> tuple[Array, Array, Array]:
    """Statistics with ``1 / sqrt(variance + eps)``, as kernels take them."""
    return mean, variance, 1 / np.sqrt(variance + np.float32(EPS))


CHANNELS = 8  # that a thread takes at once


def parts_by_channel(channels: int) -> list[tuple[int, int]]:
    """Channels that a thread takes at once: the first of them, and behind the last."""
    return [(c, min(c + CHANNELS, channels)) for c in range(0, channels, CHANNELS)]


def batch_norm(
    x: Array, gain: Array, shift: Array, running: tuple[Array, Array], train: bool
) -> tuple[Array, NormPull]:
    """Batch normalisation; in training and in float32 compiled.

    Equal to `batch_norm_ref` to the bit, except for the cotangents, whose sums have another order. Each channel is
    handled by one thread: no result depends on the number of threads.
    """
    if not train or x.dtype != np.float32 or gain.dtype != np.float32:
        return batch_norm_ref(x, gain, shift, running, train)
    y, pull_all = _compiled(x, gain, shift, np.empty(0, np.float32), running)
    return y, lambda dy: pull_all(dy)[:3]


NormPReLUPull = Callable[[Array], tuple[Array, Array, Array, Array]]


def norm_prelu(
    x: Array, gain: Array, shift: Array, slope: Array, running: tuple[Array, Array], may_wait: bool = False
) -> tuple[Array, NormPReLUPull]:
    """`batch_norm` in training, then `npbsrn.ops.pointwise.prelu`; in float32 one pass over each channel.

    Parameters
    ----------
    x, gain, shift, running
        See `batch_norm_ref`.
    slope : (C,)
    may_wait : bool
        Whether dx may be an `npbsrn.ops.pending.Pending`.

    Returns
    -------
    y : (N, C, H, W)
    pull : dy -> (dx, dgain, dshift, dslope)
    """
    if x.dtype == np.float32 == gain.dtype == slope.dtype:
        return _compiled(x, gain, shift, slope, running, may_wait)
    z, pull_norm = batch_norm(x, gain, shift, running, train=True)
    y, pull_prelu = prelu(z, slope)

    def pull(dy: Array) -> tuple[Array, Array, Array, Array]:
        dz, dslope = pull_prelu(dy)
        return *pull_norm(dz), dslope

    return y, pull


def _compiled(
    x: Array, gain: Array, shift: Array, slope: Array, running: tuple[Array, Array], may_wait: bool = False
) -> tuple[Array, NormPReLUPull]:
    """Both, an empty slope standing for no PReLU."""
    from npbsrn.kernels.moments import channel_moments
    from npbsrn.kernels.norm import ALL, SUMS, VALUES, norm_backward, norm_forward
    from npbsrn.kernels.norm_sign import PRELU

    n, channels, height, width = x.shape
    flat, y, shape = np.ascontiguousarray(x).reshape(-1), empty(x.shape, np.float32), (n, channels, height * width)
    moments = tuple(np.empty(channels, np.float32) for _ in range(3))
    parts, divided, count = parts_by_channel(channels), synchronized() is not None, count_across(x.size // channels)
    if divided:
        none = np.empty(0, np.float32)
        map_parallel(lambda part: channel_moments((flat,), none, shape, *part, none, *moments), parts)
        moments = with_inverse(*moments_across(*moments[:2]))
    filled = *moments, y.reshape(-1)
    map_parallel(lambda part: norm_forward(flat, gain, shift, slope, shape, *part, divided, *filled), parts)
    mean, variance, inverse = moments
    move_running(running, mean, variance, count)

    def pull(dy: Array) -> tuple[Array, Array, Array, Array]:
        d, dx = np.ascontiguousarray(dy).reshape(-1), empty((0,) if may_wait else x.shape, np.float32)
        dgain, dshift, dslope = (np.empty_like(gain) for _ in range(3))
        fixed, out = (d, flat, mean, inverse, gain, shift, slope, shape), (dx.reshape(-1), dgain, dshift, dslope)
        task = SUMS if may_wait or divided else ALL
        map_parallel(lambda part: norm_backward(*fixed, *part, task, count, *out), parts)
        sums = sums_across(dgain, dshift)
        if may_wait:
            own = by_channel_of(mean, inverse, gain, shift, sums, slope, count)
            pending: Any = Pending(x.shape, d, flat, own, np.zeros(1, np.float32), PRELU)
            return pending, dgain, dshift, dslope
        if divided:
            map_parallel(lambda part: norm_backward(*fixed, *part, VALUES, count, out[0], *sums, dslope), parts)
        return dx, dgain, dshift, dslope

    return y, pull
