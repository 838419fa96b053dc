"""Binary filters with float activations (the paper's Table 5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, as_they_are
from npbsrn.binarizers.options import check_options
from npbsrn.ops.filters import binary_filters
from npbsrn.ops.sign import STES, binarize
from npbsrn.ops.sums import mean_over
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class BinaryWeights(Binarizer, name="bw"):
    """Activations pass unchanged; filters are signs times one scale for each output channel.

    Parameters
    ----------
    method : {"bam", "gain"}
        "bam": ``sign(BN(sum_k alpha_k W_k)) * E|W_n|``, eq. 3 of Xin et al., ECCV 2020, with learned alpha. "gain":
        ``g * sign(W)`` with a learned g for each filter (Ma et al., "Efficient Super Resolution Using Binarized Neural
        Network", CVPRW 2019), whose first value is the mean magnitude of the first filter.
    filter_ste : str
        Stand-in for the gradient of the sign, a key of `npbsrn.ops.sign.STES`.
    """

    float_activations: ClassVar[bool] = True

    method: str = "bam"
    filter_ste: str = "identity"

    def __post_init__(self) -> None:
        check_options("bw", self, method=("bam", "gain"), filter_ste=tuple(STES))

    @property
    def remembers(self) -> tuple[bool, bool]:
        """BAM's filters accumulate."""
        return False, self.method == "bam"

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """alpha, or gains."""
        if self.method == "bam":
            return {"alpha": np.ones(filters, dtype)}
        return {"gain": np.ones(channels, dtype)}

    def begin(self, params: Params, weight: Array) -> Params:
        """Gains as large as the first filters are."""
        return params if self.method == "bam" else {"gain": mean_over(np.abs(weight), (1, 2, 3)).ravel()}

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """The input itself; see `npbsrn.binarizers.base.Binarizer`."""
        return as_they_are(terms)

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """Signs, and E|W| or the gains."""
        if self.method == "bam":
            (signs, scale), pull_filters = binary_filters(terms, params["alpha"], self.filter_ste)

            def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
                dterms, dalpha = pull_filters(dsigns[0], dscales[0])
                return dterms, {"alpha": dalpha}

            return Filters((signs,), scale[None]), pull
        signs, pull_signs = binarize(terms[-1], self.filter_ste)

        def pull_gain(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            return [pull_signs(dsigns[0])], {"gain": dscales[0]}

        return Filters((signs,), params["gain"][None]), pull_gain
