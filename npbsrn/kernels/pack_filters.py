"""Binary filters in the two forms in which the kernels read them."""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel
from npbsrn.kernels.vector import WIDTH

Array = np.ndarray[Any, Any]


@kernel()
def pack_filters(w: Array, stride: int, words: Array, offsets: Array) -> None:
    """Pack the filters of one convolution.

    Parameters
    ----------
    w : (48, 48, k, k) float32
        Only the sign counts.
    stride : int
        Extent of a row of tables, W + 2.
    words : (48 * 3 * k * k,) uint16
        Filled: output channel, plane, row, column; bit j for input channel 16 * plane + j, set where negative.
    offsets : (48 * k * k * 12,) uint32
        Filled: input channel, row, column, group of 4 outputs; where in a row's tables (12, 16, stride) the entry for
        these signs stands, for the first pixel of the row.
    """
    k = w.shape[2]
    for o in range(WIDTH):
        for plane in range(3):
            for y in range(k):
                for x in range(k):
                    word = np.uint16(0)
                    for j in range(16):
                        if w[o, 16 * plane + j, y, x] < 0:
                            word |= np.uint16(1 << j)
                    words[((o * 3 + plane) * k + y) * k + x] = word
    for i in range(WIDTH):
        for y in range(k):
            for x in range(k):
                for q in range(WIDTH // 4):
                    entry = 0
                    for b in range(4):
                        if w[4 * q + b, i, y, x] < 0:
                            entry |= 1 << b
                    # a cotangent at v + k // 2 - x, one column further for the tables' margin
                    place = (q * 16 + entry) * stride + k // 2 - x + 1
                    offsets[((i * k + y) * k + x) * (WIDTH // 4) + q] = place
