"""What PReLU sends back, from its result alone."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import part
from npbsrn.kernels.simd import select, splat

ZERO = np.float32(0)


@part(forceinline=True)
def through_prelu(d: Any, y: Any, slope: Any) -> tuple[Any, Any]:
    """What PReLU, with a slope above 0 and the result y, sends back of d; and what that is times the slope, of it.

    The result has the sign of the input; the slope is due the input times d.
    """
    return select(y > ZERO, d, d * slope), select(y > ZERO, splat(ZERO), y * d)
