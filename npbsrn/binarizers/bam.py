"""BAM, the bit accumulation mechanism (Xin et al., ECCV 2020, section 3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, Thresholds
from npbsrn.binarizers.normalized import folded_norm, init_norm, no_minus_zero, normal_signs
from npbsrn.binarizers.options import check_options
from npbsrn.ops.filters import binary_filters
from npbsrn.ops.sign import STES
from npbsrn.ops.statistic import STATISTICS
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]

# The rows of the paper's Table 4 as options of `Bam`.
ABLATIONS: dict[str, dict[str, Any]] = {
    "W1": {"alpha": "one"},
    "W2": {"accumulate_filters": False},
    "A1": {"beta": "one"},
    "A2": {"accumulate_activations": False},
}
PADS = {"one": 1.0, "zero": 0.0}


@dataclass(frozen=True)
class Bam(Binarizer, name="bam"):
    """Binarize sums over all of the block's activations and filters so far, instead of only the newest.

    Parameters
    ----------
    alpha, beta : {"learned", "one"}
        Weights of the accumulated filters and activations: learned scalars that start at 1, or fixed at 1.
    accumulate_filters, accumulate_activations : bool
        If false, only the convolution's own filters or input are binarized.
    statistic : {"abs", "mean", "none"}
        E of eq. 9: the mean over channels of |A|, of A, or no weighting by a statistic.
    filter_ste, activation_ste : str
        Stand-ins for the gradient of the sign, keys of `npbsrn.ops.sign.STES`.
    padding : {"one", "zero"}
        The padding of the bits: +1, or, for comparison only, a third value, 0, which cannot be packed.
    """

    alpha: str = "learned"
    beta: str = "learned"
    accumulate_filters: bool = True
    accumulate_activations: bool = True
    statistic: str = "abs"
    filter_ste: str = "identity"
    activation_ste: str = "clip"
    padding: str = "one"

    def __post_init__(self) -> None:
        check_options(
            "bam", self,
            alpha=("learned", "one"), beta=("learned", "one"), accumulate_filters=(True, False),
            accumulate_activations=(True, False), statistic=(*STATISTICS, "none"), filter_ste=tuple(STES),
            activation_ste=tuple(STES), padding=tuple(PADS),
        )  # fmt: skip

    @property
    def pad(self) -> float:
        """The padding of the bits."""
        return PADS[self.padding]

    @property
    def remembers(self) -> tuple[bool, bool]:
        """Whether activations and filters accumulate."""
        return self.accumulate_activations, self.accumulate_filters

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """Initial parameters of one convolution; see `npbsrn.binarizers.base.Binarizer`."""
        params = init_norm(channels, dtype)
        if self.alpha == "learned":
            params["alpha"] = np.ones(filters if self.accumulate_filters else 1, dtype)
        if self.beta == "learned":
            params["beta"] = np.ones(inputs if self.accumulate_activations else 1, dtype)
        return params

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """Eq. 9 and 10: ``sign(BN(sum_k beta_k * E(A_k) * A_k))``, of the terms ``E(A_k) * A_k``."""
        dtype = terms[-1].dtype
        beta = None if self.beta == "one" and len(terms) == 1 else self._beta(params, len(terms), dtype)
        bits, pull_signs = normal_signs(params, terms, beta, np.zeros(1, dtype), self.activation_ste, self.pad)

        def pull(dbits: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
            dterms, dbeta, _, grads = pull_signs(dbits)
            return dterms, grads | ({"beta": dbeta} if self.beta == "learned" else {})

        return Activations(bits, np.ones(1, dtype)), pull

    def lower(self, params: Params, terms: int) -> Thresholds:
        """BN and beta as one weight per term: ``BN(sum_k beta_k T_k) = sum_k (g beta_k) T_k + shift``."""
        dtype = params["gain"].dtype
        gain, shift = folded_norm(params)
        weight = gain * self._beta(params, terms, dtype)[:, None]
        return Thresholds(weight[None].astype(dtype), no_minus_zero(shift[None], dtype), np.ones(1, dtype))

    def _beta(self, params: Params, terms: int, dtype: Any) -> Array:
        return params["beta"] if self.beta == "learned" else np.ones(terms, dtype)

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """Eq. 3: ``sign(BN(sum_k alpha_k * W_k)) * E(|W_n|)``; BN standardises each output channel over (I, kh, kw)."""
        alpha = params["alpha"] if self.alpha == "learned" else np.ones(len(terms), terms[-1].dtype)
        (signs, scale), pull_filters = binary_filters(terms, alpha, self.filter_ste)

        def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            dterms, dalpha = pull_filters(dsigns[0], dscales[0])
            return dterms, {"alpha": dalpha} if self.alpha == "learned" else {}

        return Filters((signs,), scale[None]), pull
