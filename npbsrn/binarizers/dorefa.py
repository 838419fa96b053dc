"""DoReFa-Net with one bit each for filters and activations (Zhou et al., 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, Thresholds
from npbsrn.binarizers.normalized import folded_norm, init_norm, no_minus_zero, normal_signs
from npbsrn.ops.sign import sign
from npbsrn.ops.sums import mean_over
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

HALF = 0.5  # where 0 and 1 meet


@dataclass(frozen=True)
class DoReFa(Binarizer, name="dorefa"):
    """Filters of two values, activations of 0 and 1.

    ``w = sign(W) * E|W|`` with one E for the whole layer, eq. 7; its gradient passes unchanged, eq. 8. With ``x =
    BN(A)``, ``a = round(clip(x, 0, 1))``, eq. 11 with one bit, whose gradient passes where 0 <= x <= 1, eq. 6. A half
    is rounded up. The BN in front is that of the paper's experiments; its shift is initially 1/2, so that about half of
    the activations are 1.

    As signs, ``a = (1 + a') / 2`` with ``a' = sign(x - 1/2)``. The paper's padding with zeros is the bit -1.

    References
    ----------
    S. Zhou et al., "DoReFa-Net: Training Low Bitwidth Convolutional Neural Networks with Low Bitwidth Gradients", 2016,
    arXiv 1606.06160. Gradients stay float here.
    """

    @property
    def pad(self) -> float:
        """-1, which stands for 0."""
        return -1.0

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """BN's parameters, with a shift of 1/2."""
        params = init_norm(channels, dtype)
        return params | {"shift": params["shift"] + np.dtype(dtype).type(HALF)}

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """``(1 + sign(BN(A) - 1/2)) / 2``.

        Of a = (1 + a') / 2 the cotangent of a' is half of that of a, which passes to x where |x - 1/2| <= 1/2: so twice
        that of a' does.
        """
        dtype = terms[-1].dtype
        bits, pull_signs = normal_signs(params, terms[-1:], None, np.full(1, -HALF, dtype), "steep", self.pad)

        def pull(dbits: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
            dterms, _, _, grads = pull_signs(dbits)
            return dterms, grads

        return Activations(bits, np.full(1, HALF, dtype), HALF), pull

    def lower(self, params: Params, terms: int) -> Thresholds:
        """BN by its running statistics, less 1/2."""
        dtype = params["gain"].dtype
        gain, shift = folded_norm(params)
        weight = gain[None, None].astype(dtype)
        return Thresholds(weight, no_minus_zero(shift[None] - HALF, dtype), np.full(1, HALF, dtype), HALF)

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """``sign(W) * E|W|``; ``dW = d(sign(W) * E|W|)``, that is the signs' cotangent freed of its factor E|W|."""
        w = terms[-1]
        scale = mean_over(np.abs(w), (0, 1, 2, 3)).ravel()

        def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            return [dsigns[0] / scale if scale[0] > 0 else np.zeros_like(w)], {}

        return Filters((sign(w),), np.repeat(scale, len(w))[None]), pull
