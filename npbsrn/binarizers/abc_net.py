"""ABC-Net: several bases of filters and of activations (Lin et al., NeurIPS 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, Thresholds
from npbsrn.binarizers.normalized import folded_norm, init_norm, no_minus_zero, normal_signs
from npbsrn.binarizers.options import check_options
from npbsrn.ops.sign import sign
from npbsrn.ops.sums import mean_over, total_by_halves
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

MOST = 5  # bases, as many as the paper tries
HALF = 0.5


@dataclass(frozen=True)
class AbcNet(Binarizer, name="abc"):
    """Filters and activations as linear combinations of signs.

    Filters: ``W ~ sum_m alpha_m B_m`` with ``B_m = sign(W - mean(W) + u_m std(W))``, u_m evenly from -1 to 1, mean and
    std over the whole layer, eq. 3 and 4; alpha by least squares, eq. 5. In the backward pass, alpha, mean and std are
    constants, and each sign passes its gradient: with V the filters' sum, ``dW = sum_m alpha_m dV``, eq. 6.

    Activations: with ``x = BN(A)``, ``sum_n beta_n A_n`` and ``A_n = sign(clip(x + v_n, 0, 1) - 1/2)``, eq. 8 to 11;
    beta and v are learned, and the gradient passes where 0 <= x + v_n <= 1.

    Parameters
    ----------
    bases : int
        M, the number of filter bases; the paper that npbsrn follows compares with 3.
    activation_bases : int
        N, the number of activation bases.

    References
    ----------
    X. Lin, C. Zhao and W. Pan, "Towards Accurate Binary Convolutional Neural Network", NeurIPS 2017.
    """

    bases: int = 3
    activation_bases: int = 1

    def __post_init__(self) -> None:
        check_options("abc", self, bases=tuple(range(1, MOST + 1)), activation_bases=tuple(range(1, MOST + 1)))

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """BN's parameters, shifts with thresholds ``1/2 - v_n`` evenly around 0, and coefficients with a sum of 1."""
        n = self.activation_bases
        offsets = (np.arange(1, n + 1) / (n + 1)).astype(dtype)
        return init_norm(channels, dtype) | {"beta": np.full(n, 1 / n, dtype), "offset": offsets}

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """``A_n = sign(BN(A) + v_n - 1/2)``, whose gradient passes where |BN(A) + v_n - 1/2| <= 1/2."""
        offsets = params["offset"] - params["offset"].dtype.type(HALF)
        bits, pull_signs = normal_signs(params, terms[-1:], None, offsets, "window", self.pad)

        def pull(dbits: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
            dterms, _, doffsets, grads = pull_signs(dbits)
            return dterms, grads | {"beta": dcoefs, "offset": doffsets}

        return Activations(bits, params["beta"]), pull

    def lower(self, params: Params, terms: int) -> Thresholds:
        """BN by its running statistics, with a shift for each base."""
        dtype = params["gain"].dtype
        gain, shift = folded_norm(params)
        shifts = shift + (params["offset"].astype(np.float64) - HALF)[:, None]
        weight = np.repeat(gain[None, None], self.activation_bases, axis=0).astype(dtype)
        return Thresholds(weight, no_minus_zero(shifts, dtype), params["beta"])

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """Signs around several centres, and their coefficients by least squares, the same for all output channels."""
        w = terms[-1]
        everything = (0, 1, 2, 3)
        centred = w - mean_over(w, everything)
        deviation = np.sqrt(mean_over(centred * centred, everything))
        spread = np.linspace(-1, 1, self.bases) if self.bases > 1 else np.zeros(1)
        signs = tuple(sign(centred + w.dtype.type(u) * deviation) for u in spread)
        alpha = least_squares(signs, w).astype(w.dtype)

        def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            return [sum(dsigns[1:], start=dsigns[0])], {}  # dsigns[m] is alpha_m dV

        return Filters(signs, np.repeat(alpha[:, None], len(w), axis=1)), pull


def least_squares(signs: Sequence[Array], w: Array) -> Array:
    """The alpha for which ``sum_m alpha_m signs_m`` is closest to `w`, (M,) float64; eq. 5.

    ``(B^T B) alpha = B^T W`` with M x M products, solved by elimination. Its results decide later signs, so the order
    of its sums is not left to a library: products of signs are whole numbers, and products with `w` are summed by
    halving. A base that is a combination of earlier ones gets 0; filters without spread have only one independent base.
    """
    count, size = len(signs), w.size
    flat = [b.ravel().astype(np.float64) for b in signs]
    right = [float(total_by_halves(b * w.ravel())) for b in flat]
    rows = [[*(float(np.dot(a, b)) for b in flat), r] for a, r in zip(flat, right, strict=True)]
    alpha = np.zeros(count)
    independent = []
    for k in range(count):
        pivot = rows[k]
        if pivot[k] < 1e-9 * size:  # nothing is left of it but rounding: it is a combination of those before it
            continue
        independent.append(k)
        for j in range(count):
            if j != k:
                factor = rows[j][k] / pivot[k]
                rows[j] = [x - factor * y for x, y in zip(rows[j], pivot, strict=True)]
    for k in independent:
        alpha[k] = rows[k][count] / rows[k][k]
    return alpha
