"""No binarization: the float network of the same shape, from which a binary one may begin or learn."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from npbsrn.binarizers.base import PullActivations, PullFilters, Remembered, RememberedGrad
from npbsrn.storage.params import Params

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class FullPrecision:
    """Activations and filters pass as they are, and nothing accumulates.

    What the network has besides, PReLU and the factor of the blocks' sums, stays. So its parameters are those of a
    binary network less the binarizers' own, and a binary run can begin with them.
    """

    def init(self, channels: int, inputs: int, filters: int, dtype: Any) -> Params:
        """No parameters."""
        return {}

    def activations(
        self, params: Params, x: Array, memory: Remembered, train: bool
    ) -> tuple[Array, Remembered, PullActivations]:
        """The input itself; see `npbsrn.binarizers.base.Binarizer`."""

        def pull(dx: Array, dmemory: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            return dx, dmemory[:-1], {}  # nobody looks at what is remembered, so nothing comes back

        return x, (*memory, x), pull

    def filters(self, params: Params, w: Array, memory: Remembered) -> tuple[Array, Array, Remembered, PullFilters]:
        """The filters themselves, with a scale of 1."""

        def pull(dw: Array, dscale: Array, dmemory: RememberedGrad) -> tuple[Array, RememberedGrad, Params]:
            return dw, dmemory[:-1], {}

        return w, np.ones(len(w), w.dtype), (*memory, w), pull
