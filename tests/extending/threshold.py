"""Signs around a learned threshold for each channel, without any normalisation (Liu et al., ReActNet, ECCV 2020)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, Thresholds
from npbsrn.binarizers.normalized import no_minus_zero
from npbsrn.ops.pointwise import mean_magnitude
from npbsrn.ops.sign import binarize
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Threshold(Binarizer, name="threshold"):
    """``a = sign(A - t)`` with a learned t for each channel, and ``w = sign(W) * E|W|`` with an E for each filter."""

    ste: str = "bireal"

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """Thresholds of 0."""
        return {"threshold": np.zeros(channels, dtype)}

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """``sign(A - t)``; what comes back to t is what comes back to A, summed and negative."""
        bits, pull_bits = binarize(terms[-1] - params["threshold"][:, None, None], self.ste)

        def pull(dbits: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
            dx = pull_bits(dbits[0])
            return [dx], {"threshold": -np.sum(dx, axis=(0, 2, 3))}

        return Activations((bits,), np.ones(1, bits.dtype)), pull

    def lower(self, params: Params, terms: int) -> Thresholds:
        """The same as one weight, 1, and a shift, -t."""
        t = params["threshold"]
        return Thresholds(np.ones((1, 1, len(t)), t.dtype), no_minus_zero(-t[None], t.dtype), np.ones(1, t.dtype))

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """``sign(W) * E|W|``."""
        signs, pull_signs = binarize(terms[-1], "clip")
        scale, pull_scale = mean_magnitude(terms[-1])

        def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            return [pull_signs(dsigns[0]) + pull_scale(dscales[0])], {}

        return Filters((signs,), scale[None]), pull
