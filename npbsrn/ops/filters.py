"""Binarized filters: eq. 3 of the paper."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from npbsrn.ops.norm import standardize
from npbsrn.ops.pointwise import mean_magnitude, weighted_sum
from npbsrn.ops.sign import STES, binarize, ste_identity

Array = np.ndarray[Any, Any]
FiltersPull = Callable[[Array, Array], tuple[list[Array], Array]]


def binary_filters_ref(terms: Sequence[Array], alpha: Array, ste: str) -> tuple[tuple[Array, Array], FiltersPull]:
    """Binarized filters as a composition of readable operations; see `binary_filters`."""
    total, pull_total = weighted_sum(terms, alpha)
    normal, _, _, pull_normal = standardize(total, (1, 2, 3))
    bits, pull_bits = binarize(normal, ste)
    scale, pull_scale = mean_magnitude(terms[-1])

    def pull(dbits: Array, dscale: Array) -> tuple[list[Array], Array]:
        dterms, dalpha = pull_total(pull_normal(pull_bits(dbits)))
        return [*dterms[:-1], dterms[-1] + pull_scale(dscale)], dalpha

    return (bits, scale), pull


def binary_filters(terms: Sequence[Array], alpha: Array, ste: str) -> tuple[tuple[Array, Array], FiltersPull]:
    """``sign(BN(sum_k alpha_k W_k))`` and ``E(|W_n|)``, eq. 3.

    In float32 and with the STE "identity" (which is eq. 8) both passes are compiled, each one pass over the filters;
    otherwise this is `binary_filters_ref`.

    Parameters
    ----------
    terms : K arrays (O, I, kh, kw)
        Latent filters, the convolution's own last.
    alpha : (K,)
    ste : str
        A key of `npbsrn.ops.sign.STES`.

    Returns
    -------
    bits : (O, I, kh, kw), +-1
    scale : (O,)
    pull : (dbits, dscale) -> (dterms, dalpha)
    """
    if STES[ste][1] is not ste_identity or any(term.dtype != np.float32 for term in terms):
        return binary_filters_ref(terms, alpha, ste)
    from npbsrn.kernels.filters import filters_backward, filters_forward

    shape = terms[0].shape
    rows = tuple(term.reshape(shape[0], -1) for term in terms)
    bits, normal = np.empty_like(rows[0]), np.empty_like(rows[0])
    scale, inverse = np.empty(shape[0], np.float32), np.empty(shape[0], np.float32)
    filters_forward(rows, alpha, bits, scale, normal, inverse)

    def pull(dbits: Array, dscale: Array) -> tuple[list[Array], Array]:
        dtotal, down, dalpha = np.empty_like(normal), np.empty_like(normal), np.empty(len(rows), np.float64)
        flat = np.ascontiguousarray(dbits).reshape(normal.shape)
        filters_backward(rows, alpha, normal, inverse, flat, dscale, dtotal, down, dalpha)
        dterms = [dtotal * a for a in alpha]
        dterms[-1] += down
        return [dterm.reshape(shape) for dterm in dterms], dalpha.astype(alpha.dtype)

    return (bits.reshape(shape), scale), pull
