"""BBCU's binarization: a learned threshold for each channel, and no normalisation (Xia et al., ICLR 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, Thresholds
from npbsrn.binarizers.normalized import no_minus_zero
from npbsrn.binarizers.options import check_options, check_positive
from npbsrn.ops.shift_sign import shifted_signs
from npbsrn.ops.sign import STES, sign
from npbsrn.ops.sums import mean_over
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Bbcu(Binarizer, name="bbcu"):
    """``a = sign(A + t)`` with a learned t for each channel, and ``w = sign(W) * E|W|`` with an E for each filter.

    The gradient of activations is that of Bi-Real Net. That of filters is the one of the public code of BBCU and of
    ReActNet, ``w = stop(E|W| sign(W) - clip(W, -1, 1)) + clip(W, -1, 1)``: the cotangent of w, not of its signs, passes
    where |W| <= 1, and E|W| is a constant. Padding is +1 as everywhere here; theirs is 0, a third value.

    Parameters
    ----------
    activation_ste : str
        Stand-in for the gradient of the activations' sign, a key of `npbsrn.ops.sign.STES`.
    window : float
        The stand-in is that of ``sign((A + t) / window)``, so that its width fits the magnitude of the activations: of
        Bi-Real's, gradients pass where ``|A + t| < window``.

    References
    ----------
    B. Xia et al., "Basic Binary Convolution Unit for Binarized Image Restoration Network", ICLR 2023.
    Z. Liu et al., "ReActNet: Towards Precise Binary Neural Network with Generalized Activation Functions", ECCV 2020.
    """

    activation_ste: str = "bireal"
    window: float = 1.0

    def __post_init__(self) -> None:
        check_options("bbcu", self, activation_ste=tuple(STES))
        check_positive("bbcu", self, "window")

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """Thresholds of 0."""
        return {"shift": np.zeros(channels, dtype)}

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """``sign(A + t)``; what comes back to t is what comes back to A, summed."""
        bits, pull_signs = shifted_signs(terms[-1], params["shift"], self.window, self.activation_ste, self.pad)

        def pull(dbits: Sequence[Array], dcoefs: Array) -> tuple[list[Array], Params]:
            dterm, dshift = pull_signs(dbits[0])
            return [dterm], {"shift": dshift}

        return Activations((bits,), np.ones(1, terms[-1].dtype)), pull

    def lower(self, params: Params, terms: int) -> Thresholds:
        """The same as one weight, 1, and a shift: rounded once, as in training."""
        shift = params["shift"]
        weight = np.ones((1, 1, len(shift)), shift.dtype)
        return Thresholds(weight, no_minus_zero(shift[None], shift.dtype), np.ones(1, shift.dtype))

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """``sign(W) * E|W|``; ``dW = dw`` where |W| <= 1, dw being the signs' cotangent freed of its factor E|W|."""
        w = terms[-1]
        scale = mean_over(np.abs(w), (1, 2, 3))

        def pull(dsigns: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
            return [STES["clip"][1](w, dsigns[0] * inverse)], {}

        return Filters((sign(w),), scale.reshape(1, -1)), pull
