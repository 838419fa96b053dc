"""The tail as one convolution on the low-resolution grid, including its borders and the bicubic base."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from npbsrn.images.resize import bicubic_weights
from npbsrn.ops.compose import compose, reach_of

Array = np.ndarray[Any, Any]
Convolution = tuple[Array, Array]  # filters (O, I, k, k) and bias (O,)

# Where a pixel lies along one axis: how many pixels there are before it and after it, as far as that matters.
Place = tuple[int, int]


class Tail:
    """Filters of the whole tail.

    Each convolution of the tail pads with zeros, on its own grid. If that were ignored, the composed filters would
    include values of the inner convolution beyond the border. So pixels near a border have separate filters, without
    the taps that would reach there (`npbsrn.ops.compose.compose`).

    Which pixels are near one follows stage by stage, from the last one backward. The last convolution has no stage
    behind it: what lies beyond the picture is 0, and its filters are the same everywhere. Before a shuffle by r,
    filters that look p fine pixels far look ``ceil(p / r)`` coarse ones far; so many pixels wide is the ring in which
    they can look beyond the border. A fine pixel within the finer stage's ring, which is not wider than p, lies in that
    ring, too. Behind 3x3 the ring is one pixel wide at all scales, behind 9x9 two.

    Parameters
    ----------
    stages : list of (filters, bias)
        The convolutions before each shuffle, and the last.
    factors : tuple of int
        Of the shuffles; there may be none.
    base : bool
        Whether the bicubically enlarged picture is added: its filters are those of three further inputs, which are to
        be padded by mirroring.

    Attributes
    ----------
    scale : int
        s.
    size : int
        k of the composed filters.
    ring : int
        How many pixels from the border on have filters of their own.
    """

    def __init__(self, stages: list[Convolution], factors: tuple[int, ...], base: bool) -> None:
        self.stages = [(w.astype(np.float64), b.astype(np.float64)) for w, b in stages]
        self.factors, self.base = factors, base
        self.scale = int(np.prod(factors, dtype=np.int64))
        self.size, rings = stages[-1][0].shape[-1], [0]
        for (w, _), r in reversed(list(zip(stages, factors, strict=False))):
            rings.insert(0, reach_of(self.size, r))
            self.size = w.shape[-1] + 2 * rings[0]
        self._rings, self.ring = rings, rings[0]
        self._known: dict[tuple[int, Place, Place], Convolution] = {}

    @property
    def inside(self) -> Place:
        """The place of a pixel far from all borders."""
        return self.ring, self.ring

    def place(self, at: int, extent: int) -> Place:
        """Where pixel `at` of an axis lies."""
        return min(at, self.ring), min(extent - 1 - at, self.ring)

    def filters(self, row: Place, column: Place) -> Convolution:
        """Of pixels at such places: (3 * s * s, C or C + 3, k, k) and (3 * s * s,) float32; by colour and phase."""
        w, b = self.composed(row, column)
        if self.base:
            w = np.concatenate([w, base_filters(self.scale, self.size)], axis=1)
        return np.ascontiguousarray(w, np.float32), b.astype(np.float32)

    def composed(self, row: Place, column: Place) -> Convolution:
        """All convolutions as one, without the base, in float64."""
        return self._composed(0, row, column)

    def _composed(self, stage: int, row: Place, column: Place) -> Convolution:
        """All convolutions from `stage` on as one, at such a place of the stage's grid."""
        if stage == len(self.factors):
            return self.stages[-1]
        if (stage, row, column) in self._known:
            return self._known[stage, row, column]
        r, ring = self.factors[stage], self._rings[stage + 1]
        down, right = ([_finer(place, a, r, ring) for a in range(r)] for place in (row, column))
        outer = [[self._composed(stage + 1, a, b) for b in right] for a in down]
        w, shift = (np.array([[phase[k] for phase in phases] for phases in outer]) for k in (0, 1))
        (w, shift), _ = compose(w, shift, *self.stages[stage], r, row, column)
        s = self.scale // int(np.prod(self.factors[: stage + 1], dtype=np.int64))
        # colours first; then the row's phase, of this grid and of the finer ones, and the column's
        w = w.reshape(3, s, s, r, r, *w.shape[1:]).transpose(0, 3, 1, 4, 2, 5, 6, 7).reshape(w.shape)
        shift = shift.reshape(3, s, s, r, r).transpose(0, 3, 1, 4, 2).ravel()
        if stage > 0:  # where several places of the coarser grid ask for it
            self._known[stage, row, column] = w, shift
        return w, shift


def composed_size(sizes: Sequence[int], shuffles: Sequence[int]) -> int:
    """Extent of the filters that convolutions of these sizes become, with a shuffle behind each but the last."""
    size = sizes[-1]
    for k, r in zip(reversed(sizes[:-1]), reversed(shuffles), strict=True):
        size = k + 2 * reach_of(size, r)
    return size


def _finer(place: Place, a: int, r: int, ring: int) -> Place:
    """Where the fine pixel of phase a lies, on a grid with such a ring."""
    before, after = place
    return min(before * r + a, ring), min(after * r + r - 1 - a, ring)


def base_filters(scale: int, size: int) -> Array:
    """Bicubic enlargement as a convolution: (3 * s * s, 3, k, k), from each colour to its phases.

    k is 5 at least; of scale 1, where it is the picture itself, 1.
    """
    far, reach = 4, size // 2
    weight, column = bicubic_weights(2 * far + 1, (2 * far + 1) * scale, scale)
    middle = np.zeros((scale, 2 * far + 1))  # phases of the pixel in the middle, which no border is near to
    np.put_along_axis(middle, column[far * scale : (far + 1) * scale], weight[far * scale : (far + 1) * scale], axis=1)
    taps = middle[:, far - reach : far + reach + 1]
    both = taps[:, None, :, None] * taps[None, :, None, :]
    w = np.zeros((3, scale, scale, 3, size, size))
    for colour in range(3):
        w[colour, :, :, colour] = both
    return w.reshape(-1, 3, size, size)
