"""BNN, binarized neural networks (Hubara et al., NeurIPS 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, Thresholds
from npbsrn.binarizers.normalized import folded_norm, init_norm, no_minus_zero, normal_signs
from npbsrn.ops.sign import binarize
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bnn(Binarizer, name="bnn"):
    """Signs of filters and of normalised activations, and no scales.

    ``w = sign(W)`` and ``a = sign(BN(A))``, eq. 1. Both gradients pass where the magnitude is at most 1, eq. 4. Latent
    filters stay within +-1, section 2.4: outside, they could change without changing the network.

    References
    ----------
    I. Hubara, M. Courbariaux, D. Soudry, R. El-Yaniv and Y. Bengio, "Binarized Neural Networks", NeurIPS 2016.
    """

    scaled: ClassVar[bool] = False
    bound: ClassVar[float | None] = 1.0

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """BN's parameters."""
        return init_norm(channels, dtype)

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """``sign(BN(A))``."""
        dtype = terms[-1].dtype
        bits, pull_signs = normal_signs(params, terms[-1:], None, np.zeros(1, dtype), "clip", self.pad)

        def pull(dbits: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
            dterms, _, _, grads = pull_signs(dbits)
            return dterms, grads

        return Activations(bits, np.ones(1, dtype)), pull

    def lower(self, params: Params, terms: int) -> Thresholds:
        """BN by its running statistics."""
        dtype = params["gain"].dtype
        gain, shift = folded_norm(params)
        weight = gain[None, None].astype(dtype)
        return Thresholds(weight, no_minus_zero(shift[None], dtype), np.ones(1, dtype))

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """``sign(W)``, with a scale of 1."""
        w = terms[-1]
        signs, pull_signs = binarize(w, "clip")

        def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            return [pull_signs(dsigns[0])], {}

        return Filters((signs,), np.ones((1, len(w)), w.dtype)), pull
