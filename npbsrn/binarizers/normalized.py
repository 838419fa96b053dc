"""Batch normalisation in front of a sign, shared by all schemes with binary activations."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.ops.bits import Bits
from npbsrn.ops.norm import EPS, batch_norm, norm_prelu
from npbsrn.ops.norm_sign import norm_signs
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]
PullNorm = Callable[[Array], tuple[Array, Params, Array | None]]


def init_norm(channels: int, dtype: Any) -> Params:
    """Initial parameters of a batch normalisation."""
    return {
        "gain": np.ones(channels, dtype),
        "shift": np.zeros(channels, dtype),
        "running_mean": np.zeros(channels, dtype),
        "running_variance": np.ones(channels, dtype),
    }


def normalize(params: Params, x: Array, slope: Array | None = None, may_wait: bool = False) -> tuple[Array, PullNorm]:
    """BN by the batch's statistics, then PReLU if there is a slope; updates the running averages.

    Parameters
    ----------
    params : dict
        As `init_norm` gives them.
    x : (N, C, H, W)
    slope : (C,), optional
    may_wait : bool
        Whether dx may be an `npbsrn.ops.pending.Pending`.

    Returns
    -------
    z : (N, C, H, W)
    pull : dz -> (dx, grads, dslope); dslope is None without a slope
    """
    running = (params["running_mean"], params["running_variance"])
    if slope is None:
        z, pull_norm = batch_norm(x, params["gain"], params["shift"], running, train=True)
    else:
        z, pull_all = norm_prelu(x, params["gain"], params["shift"], slope, running, may_wait)

    def pull(dz: Array) -> tuple[Array, Params, Array | None]:
        dx, dgain, dshift, *dslope = pull_norm(dz) if slope is None else pull_all(dz)
        return dx, {"gain": dgain, "shift": dshift}, dslope[0] if dslope else None

    return z, pull


PullSigns = Callable[[Sequence[Array]], tuple[list[Array], Array | None, Array, Params]]


def normal_signs(
    params: Params, terms: Sequence[Array], weights: Array | None, offsets: Array, ste: str, pad: float
) -> tuple[tuple[Array | Bits, ...], PullSigns]:
    """``sign(BN(sum_k weights[k] terms[k]) + offsets[j])`` for each base j; see `npbsrn.ops.norm_sign.norm_signs`.

    Parameters
    ----------
    params : dict
        As `init_norm` gives them; running averages are updated.
    terms, weights, offsets, ste, pad
        See there.

    Returns
    -------
    bits : J of (N, C, H, W)
    pull : dbits -> (dterms, dweights, doffsets, grads)
    """
    running = (params["running_mean"], params["running_variance"])
    bits, pull_signs = norm_signs(terms, weights, params["gain"], params["shift"], running, offsets, ste, pad)

    def pull(dbits: Sequence[Array]) -> tuple[list[Array], Array | None, Array, Params]:
        dterms, dweights, dgain, dshift, doffsets = pull_signs(dbits)
        return dterms, dweights, doffsets, {"gain": dgain, "shift": dshift}

    return tuple(bits), pull


def folded_norm(params: Params) -> tuple[Array, Array]:
    """BN by its running statistics as one gain and one shift per channel, float64.

    With running mean m and variance v and ``g = gain / sqrt(v + eps)``: ``BN(x) = g x + (shift - g m)``.
    """
    gain = params["gain"] / np.sqrt(params["running_variance"].astype(np.float64) + EPS)
    return gain, params["shift"] - gain * params["running_mean"]


def no_minus_zero(x: Array, dtype: Any) -> Array:
    """`x` in a dtype, with 0 in place of -0.0, because the kernels take a sign from the highest bit."""
    rounded: Array = x.astype(dtype) + np.dtype(dtype).type(0)
    return rounded
