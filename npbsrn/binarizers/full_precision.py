"""No binarization: the float network of the same shape, from which a binary one may start or learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from npbsrn.binarizers.base import Activations, Binarizer, Filters, PullActivations, PullFilters, as_they_are
from npbsrn.binarizers.options import check_options
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]
PADS = {"zero": 0.0, "one": 1.0}


@dataclass(frozen=True)
class FullPrecision(Binarizer, name="none"):
    """Activations and filters pass unchanged, and nothing accumulates.

    The rest of the network, such as activation functions and the residual factor, stays. So its parameters are those of
    a binary network without the binarizers' own, and a binary run can start from them.

    Parameters
    ----------
    padding : {"zero", "one"}
        The padding of the activations; "one" is for networks trained by earlier versions.
    """

    binary: ClassVar[bool] = False
    float_activations: ClassVar[bool] = True

    padding: str = "zero"

    def __post_init__(self) -> None:
        check_options("none", self, padding=tuple(PADS))

    @property
    def pad(self) -> float:
        """The padding of the activations."""
        return PADS[self.padding]

    def activations(self, params: Params, terms: Sequence[Array]) -> tuple[Activations, PullActivations]:
        """The input itself; see `npbsrn.binarizers.base.Binarizer`."""
        return as_they_are(terms)

    def filters(self, params: Params, terms: Sequence[Array]) -> tuple[Filters, PullFilters]:
        """The filters themselves, with a scale of 1."""
        w = terms[-1]

        def pull(dw: Sequence[Array], dscales: Array) -> tuple[list[Array], Params]:
            return list(dw), {}

        return Filters((w,), np.ones((1, len(w)), w.dtype)), pull
