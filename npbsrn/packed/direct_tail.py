"""The tail of a network without shuffle stages: one convolution to three colours, at the size of the result."""

from typing import Any

import numpy as np

from npbsrn.kernels.bits import TILE
from npbsrn.kernels.direct_conv import FEW_OUTPUTS, blocked, computed, correlate_few
from npbsrn.packed.ends import COLOURS, rows_from_feature_map, rows_to_pixels
from npbsrn.packed.tail import Convolution
from npbsrn.runtime.buffers import empty

Array = np.ndarray[Any, Any]

STRIP = 2 * TILE  # pixels of a row whose channels are gathered at once, so that a band stays in the second cache
SLACK = 5  # pixels of three colours that a vector may reach over the last one


def suits(channels: int) -> bool:
    """Whether so many channels can be convolved to few outputs; see `npbsrn.kernels.direct_conv.computed`."""
    return computed(COLOURS, channels) == FEW_OUTPUTS


class DirectTail:
    """A last convolution whose result is the picture.

    Vectors of 16 output channels would hold only three, so here the vectors hold pixels. Strips of the feature map are
    copied with their margins and convolved while they are in the L2 cache. Each pixel's sum has the same order wherever
    it lies.

    Parameters
    ----------
    last : (filters, bias)
        (3, C, k, k) and (3,).
    """

    def __init__(self, last: Convolution) -> None:
        w, self.bias = last[0].astype(np.float32), last[1].astype(np.float32)
        self.channels, self.size, self.filters = w.shape[1], w.shape[-1], blocked(w)

    def run(self, feature_map: Array, rows: tuple[int, int], width: int, base: Array) -> Array:
        """Compute the tail on some rows of the feature map: (end - begin, W + 5, 3) float32; see `FloatEnd.run`."""
        (begin, end), lead = rows, self.size // 2
        gathered = empty((end - begin + 2 * lead, self.channels, STRIP + 2 * lead), np.float32)
        colours = empty((end - begin, COLOURS, STRIP), np.float32)
        pixels = empty((end - begin, width + SLACK, COLOURS), np.float32)
        for left in range(0, width, STRIP):
            rows_from_feature_map(feature_map, begin - lead, left // TILE, width, gathered)
            correlate_few(gathered, self.filters, colours, self.size)
            rows_to_pixels(colours, self.bias, base, begin, left, width, pixels)
        return pixels

    def values(self, rows: int, width: int) -> int:
        """Numbers that `run` holds at once."""
        lead = self.size // 2
        gathered = (rows + 2 * lead) * self.channels * (STRIP + 2 * lead)
        return gathered + rows * COLOURS * (STRIP + width + SLACK)
