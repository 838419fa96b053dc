"""From the stream to the picture: trunk, global skip and composed tail, all of them float convolutions."""

from itertools import product
from typing import Any

import numpy as np

from npbsrn.kernels.pixel_conv import CHUNK, convolve, convolve_column, room_for
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.winograd import plain, transformed, vectors_of
from npbsrn.networks.base import FACTORS, MIDDLE
from npbsrn.packed.ends import COLOURS, from_stream, surround
from npbsrn.packed.lower import Convolution, Folded
from npbsrn.packed.tail import BOTH, FIRST, INSIDE, LAST, Place, Tail
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import quiet_blas

Array = np.ndarray[Any, Any]


class Finish:
    """The float end of a network.

    A pixel's C channels are padded to C', a multiple of 16, and three more follow them: to the trunk those of the
    head's input, so that the global skip is part of the trunk; to the tail those of the picture, so that its bicubic
    enlargement is part of the tail.

    Parameters
    ----------
    folded : Folded
    """

    def __init__(self, folded: Folded) -> None:
        self.channels, self.base = int(folded.config["width"]), folded.config["base"] == "bicubic"
        self.padded = vectors_of(self.channels) * LANES
        (trunk, more), (head, bias) = folded.trunk, folded.head
        self.trunk = transformed(self._inputs(np.concatenate([trunk, head], axis=1))), self._outputs(more + bias)
        self.tail = Tail(folded.tail, FACTORS[folded.scale], self.base)
        with quiet_blas():  # which may sum in another order by more threads
            places = product((INSIDE, FIRST, LAST, BOTH), repeat=2)
            self.filters = {(row, column): self._tail_filters(row, column) for row, column in places}

    @property
    def depth(self) -> int:
        """Numbers of a pixel that trunk and tail take in: C' + 3."""
        return self.padded + COLOURS

    @property
    def values(self) -> int:
        """Numbers of a pixel that are held at once: of trunk's and tail's inputs, and of the phases."""
        return 2 * self.depth + vectors_of(COLOURS * self.tail.scale**2) * LANES

    def run(self, stream: Array, rows: tuple[int, int], width: int, image: Array, base: Array) -> Array:
        """What some rows of the stream become.

        Parameters
        ----------
        stream : (H, T, C * 32) float32
        rows : (begin, end)
        width : int
            W.
        image : (3, H + 2, W + 2 or more) float32
            The head's input, with zeros around it.
        base : (3, H + 4, W + 4) float32, or empty
            The picture, padded by mirroring.

        Returns
        -------
        phases : (end - begin, W or more, 3 * s * s or more) float32
            By phase and colour.
        """
        (begin, end), height = rows, len(stream)
        line = -(-width // CHUNK) * CHUNK
        low, high = max(begin - 2, 0), min(end + 2, height)  # of what the tail looks at
        above, below = low - (begin - 2), end + 2 - high
        inputs = empty((high - low + 2, line + 4, self.depth), np.float32)
        from_stream(stream, self.channels, low - 1, width, image, inputs)
        features = empty((end - begin + 4, line + 6, self.depth), np.float32)
        _convolve(inputs, self.trunk, 3, features[above : len(features) - below], 2)
        surround(features, above, below, width, base, begin)
        return self._enlarge(features, width, begin == 0, end == height)

    def _enlarge(self, features: Array, width: int, first: bool, last: bool) -> Array:
        """The tail; `first` and `last` say whether the picture's first and last row are among these."""
        filters = self.filters
        outputs = len(filters[INSIDE, INSIDE][1])
        y = empty((len(features) - 4, features.shape[1] - 5, outputs), np.float32)  # `write_pixels` reaches over
        _convolve(features, filters[INSIDE, INSIDE], 5, y, 0)
        end, columns = len(y) - 1, [(0, BOTH)] if width == 1 else [(0, FIRST), (width - 1, LAST)]
        rows = [(0, BOTH)] if first and last and end == 0 else [(0, FIRST)] * first + [(end, LAST)] * last
        for r, row in rows:
            _convolve(features[r : r + 5], filters[row, INSIDE], 5, y[r : r + 1], 0)
        for v, column in columns:
            convolve_column(features, *filters[INSIDE, column], 5, y, v)
            for r, row in rows:
                convolve_column(features[r : r + 5], *filters[row, column], 5, y[r : r + 1], v)
        return y

    def _tail_filters(self, row: Place, column: Place) -> Convolution:
        """Of the pixels at such places: transformed, or for a column at the border as they are."""
        w, bias = (_by_phase(own) for own in self.tail.filters(row, column))
        if not self.base:
            bias += np.float32(MIDDLE)
        w, bias = self._inputs(w), self._outputs(bias)
        return (transformed(w) if column == INSIDE else plain(w)), bias

    def _inputs(self, w: Array) -> Array:
        """Filters (O, C or C + 3, k, k) to (O, C' + 3, k, k)."""
        whole = np.zeros((len(w), self.depth, *w.shape[2:]), w.dtype)
        whole[:, : self.channels] = w[:, : self.channels]
        whole[:, self.padded : self.padded + w.shape[1] - self.channels] = w[:, self.channels :]
        return whole

    @staticmethod
    def _outputs(bias: Array) -> Array:
        whole = np.zeros(vectors_of(len(bias)) * LANES, np.float32)
        whole[: len(bias)] = bias
        return whole


def _convolve(x: Array, filters: Convolution, size: int, y: Array, first: int) -> None:
    convolve(x, *filters, size, y, first, room_for(len(x), x.shape[2], size))


def _by_phase(outputs: Array) -> Array:
    """From outputs by colour and phase to outputs by phase and colour, as they lie in the picture."""
    return np.ascontiguousarray(outputs.reshape(COLOURS, -1, *outputs.shape[1:]).swapaxes(0, 1)).reshape(outputs.shape)
