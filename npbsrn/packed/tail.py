"""The tail as one convolution on the low-resolution grid, borders included, and the bicubic base with it."""

from typing import Any

import numpy as np

from npbsrn.images.resize import bicubic_matrix
from npbsrn.packed.lower import Convolution

Array = np.ndarray[Any, Any]

# Where a pixel lies along one axis: whether it is the first, and whether it is the last. A single one is both.
Place = tuple[bool, bool]
INSIDE, FIRST, LAST, BOTH = (False, False), (True, False), (False, True), (True, True)


class Tail:
    """Filters of the whole tail.

    Each convolution of the tail pads with zeros, on its own grid. Composed without regard to that, the filters would
    take in what the inner convolution gives beyond the border. So there are filters of their own for the pixels at a
    border, in which the taps that would look there are left out. The outermost ring of one pixel is all that differs:
    no inner pixel of the ring's neighbours lies further out than that.

    Parameters
    ----------
    stages : list of (filters, bias)
        The convolutions before each shuffle, and the last.
    factors : tuple of int
        Of the shuffles.
    base : bool
        Whether the bicubically enlarged picture is added: its filters are those of three further inputs, which are to
        be padded by mirroring.
    """

    def __init__(self, stages: list[Convolution], factors: tuple[int, ...], base: bool) -> None:
        self.stages = [(w.astype(np.float64), b.astype(np.float64)) for w, b in stages]
        self.factors, self.base = factors, base
        self.scale = int(np.prod(factors))
        self._known: dict[tuple[int, Place, Place], Convolution] = {}  # of the finer grids

    def filters(self, row: Place, column: Place) -> Convolution:
        """Of pixels at such places: (3 * s * s, C or C + 3, 5, 5) and (3 * s * s,) float32; by colour and phase."""
        w, b = self._composed(0, row, column)
        if self.base:
            w = np.concatenate([w, base_filters(self.scale)], axis=1)
        return np.ascontiguousarray(w, np.float32), b.astype(np.float32)

    def _composed(self, stage: int, row: Place, column: Place) -> Convolution:
        """All convolutions from `stage` on as one, at such a place of the stage's grid.

        The algebra is that of `npbsrn.ops.compose.compose`: a pixel of the finer grid has a phase (a, b), there the tap
        (s, t) of the outer filters meets the coarse pixel e = floor((a + s - p) / r), f likewise, in the phase (i, j).
        """
        if stage == len(self.factors):
            return self.stages[-1]
        r, (inner, inner_bias) = self.factors[stage], self.stages[stage]
        bank = np.ascontiguousarray(
            inner.reshape(-1, r, r, *inner.shape[1:]).transpose(1, 2, 0, 3, 4, 5)
        )  # i j c I k k
        biases = inner_bias.reshape(-1, r, r)
        kernels, sums = [], []
        for a in range(r):
            for b in range(r):
                finer = _phase(row, a, r), _phase(column, b, r)
                if (stage + 1, *finer) not in self._known:
                    self._known[stage + 1, *finer] = self._composed(stage + 1, *finer)
                outer, bias = self._known[stage + 1, *finer]
                w, more = _meet(outer, bank, biases, (a, b), (row, column))
                kernels.append(w)
                sums.append(bias + more)
        finer_phases = len(sums[0]) // 3
        s = int(np.sqrt(finer_phases))
        w, shift = np.stack(kernels), np.stack(sums)
        # colours first; then the row's phase, of this grid and of the finer ones, and the column's
        w = w.reshape(r, r, 3, s, s, *w.shape[2:]).transpose(2, 0, 3, 1, 4, 5, 6, 7)
        shift = shift.reshape(r, r, 3, s, s).transpose(2, 0, 3, 1, 4)
        return w.reshape(3 * (r * s) ** 2, *w.shape[5:]), shift.ravel()


def _phase(place: Place, a: int, r: int) -> Place:
    """Where the finer pixel of phase a lies."""
    return place[0] and a == 0, place[1] and a == r - 1


def _meet(outer: Array, bank: Array, biases: Array, phase: tuple[int, int], places: tuple[Place, Place]) -> Convolution:
    """One phase of the composed filters: (O, I, 5, 5), or as large as they get; and what the inner biases add."""
    (o, channels, m, _), (r, _, _, inputs, k, _) = outer.shape, bank.shape
    reach = -(-(m // 2) // r)
    size = k + 2 * reach
    w, shift = np.zeros((o, inputs, size, size)), np.zeros(o)
    for s in range(m):
        e, i = divmod(phase[0] + s - m // 2, r)
        for t in range(m):
            f, j = divmod(phase[1] + t - m // 2, r)
            if _outside(e, places[0]) or _outside(f, places[1]):
                continue
            y, x = e + reach, f + reach
            w[:, :, y : y + k, x : x + k] += (outer[:, :, s, t] @ bank[i, j].reshape(channels, -1)).reshape(
                o, inputs, k, k
            )
            shift += outer[:, :, s, t] @ biases[:, i, j]
    return w, shift


def _outside(e: int, place: Place) -> bool:
    """Whether a coarse pixel e away from one at `place` lies beyond the border."""
    return (e < 0 and place[0]) or (e > 0 and place[1])


def base_filters(scale: int) -> Array:
    """Bicubic enlargement as a convolution: (3 * s * s, 3, 5, 5), from each colour to its phases."""
    middle = bicubic_matrix(9, 9 * scale, scale).toarray()[4 * scale : 5 * scale, 2:7]  # phases of pixel 4, its taps
    both = middle[:, None, :, None] * middle[None, :, None, :]
    w = np.zeros((3, scale, scale, 3, 5, 5))
    for colour in range(3):
        w[colour, :, :, colour] = both
    return w.reshape(-1, 3, 5, 5)
