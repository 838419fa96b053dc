"""From the feature map to the picture: trunk, global skip and composed tail, all of them float convolutions."""

import threading
from typing import Any

import numpy as np

from npbsrn.kernels.direct_conv import FEW_ROWS
from npbsrn.kernels.pixel_conv import CHUNK, TILES, convolve, convolve_column, workspace_for, workspace_size
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.winograd import STEP, Filters, plain, transformed, vectors_of
from npbsrn.networks.base import MIDDLE
from npbsrn.packed.direct_tail import DirectTail, suits
from npbsrn.packed.ends import COLOURS, from_feature_map, surround
from npbsrn.packed.tail import Convolution, Place, Tail, base_filters
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.threads import quiet_blas

Array = np.ndarray[Any, Any]

BICUBIC = 5  # extent of the filters of the bicubic base


class FloatEnd:
    """The float end of a network.

    Between two convolutions, a pixel's numbers are contiguous: its C channels, padded to a multiple of 16, followed by
    those of extra inputs. For the trunk, these are the head's inputs, so that the global skip is part of the trunk; for
    the tail, they are the picture's colours, so that the bicubic enlargement is part of the tail. Both are computed by
    Winograd's filtering along the rows, in groups of `STEP` pixels.

    Where the composed tail is smaller than the filters of the bicubic base, as a direct tail's is, the base is a
    convolution of its own. Without a trunk and without stages the tail is one convolution to three outputs, for which
    see `DirectTail`.

    Parameters
    ----------
    trunk : (filters, bias), or None
        (C, C, 3, 3) and (C,).
    skip : (filters, bias), or None
        The head, (C, 3, k, k) with k of 3 or 9, whose result is added to the trunk's; None where there is no such skip.
    tail : list of (filters, bias)
        The convolutions before each shuffle, and the last.
    factors : tuple of int
        Of the shuffles; there may be none.
    base : {"bicubic", "picture", "none"}
        What is added: the picture enlarged; the picture, where the network begins with an enlarged one; or grey.
    channels : int
        C.

    Attributes
    ----------
    scale : int
        s.
    base_margin : int
        How many pixels must stand around what `run` takes as the base.
    reach : int
        How many rows of the feature map `run` looks at above and below those that are wanted.
    margin : int
        How far around a pixel the feature map can change its result, if only by a rounding: groups of pixels reach
        over. Where a picture passes in tiles, they must begin where a group does, at a multiple of `STEP`.
    """

    def __init__(
        self, trunk: Convolution | None, skip: Convolution | None, tail: list[Convolution], factors: tuple[int, ...],
        base: str, channels: int,
    ) -> None:  # fmt: skip
        self.channels, self.padded, self.base = channels, vectors_of(channels) * LANES, base != "none"
        tail = [*tail[:-1], (tail[-1][0], tail[-1][1] + np.float32(0 if self.base else MIDDLE))]
        self.direct = DirectTail(tail[-1]) if trunk is None and not factors and suits(channels) else None
        self.tail = Tail(tail, factors, self.base and self.direct is None)
        self.apart: tuple[Filters, Array] | None = None
        if base == "bicubic" and self.tail.size < BICUBIC:
            self.tail.base, w = False, _by_phase(base_filters(self.tail.scale, BICUBIC))
            self.apart = transformed(w), self._outputs(np.zeros(len(w), np.float32))
        self.scale, self.grid, self.trunk = self.tail.scale, 0, None
        if trunk is not None:
            w, bias = trunk
            if skip is not None:
                self.grid = 1 if skip[0].shape[-1] == 3 else 3
                w, bias = np.concatenate([w, _on_grid(skip[0], self.grid)], axis=1), bias + skip[1]
            self.trunk = transformed(self._inputs(w)), self._outputs(bias)
        self._filters: dict[tuple[Place, Place], tuple[Any, Array]] = {}
        self._lock = threading.Lock()
        lead, groups = self.tail.size // 2, STEP - 1
        self.base_margin = lead if self.tail.base else BICUBIC // 2 if self.apart else 0
        self.reach = lead + (trunk is not None)
        # The tail's group that ends with a pixel begins three before it, at a multiple of STEP, and looks `lead`
        # further; the trunk's group there begins at the multiple of STEP before that. What it sees one pixel further
        # out is part of one product (`transforms`: that at 0, or at infinity), which its outermost result alone takes.
        outer = lead if trunk is None else -(-lead // STEP) * STEP + (lead % STEP == 0)
        self.margin = lead if self.direct else groups + max(outer, self.base_margin)

    def values(self, rows: int, width: int) -> int:
        """Numbers that `run` holds at once, for so many rows that are wanted."""
        if self.direct:
            return self.direct.values(rows, width)
        high, depths = rows + 2 * self.reach, [self.padded + COLOURS * n for n in (self.grid**2, self.tail.base)]
        outputs = vectors_of(COLOURS * self.scale**2) * LANES
        pixels = high * (width + CHUNK + self.tail.size + 1)
        own = pixels * (sum(depths) + outputs) + workspace_size(high, max(depths), self.tail.size)
        if self.apart is None:
            return own
        high = rows + BICUBIC - 1
        return own + high * (width + CHUNK + 2 * BICUBIC) * (COLOURS + outputs) + workspace_size(high, COLOURS, BICUBIC)

    def multiplications(self, rows: int, width: int) -> tuple[int, int]:
        """How many are done for so many rows far from a border: by 3x3 filters, and by all others."""
        if self.direct:
            return 0, self.direct.filters.size // FEW_ROWS * rows * width
        inside = self.tail.inside
        done = {3: 0, self.tail.size: 0, BICUBIC: 0}
        own = [(3, self.trunk), (self.tail.size, self._filters_of(inside, inside)), (BICUBIC, self.apart)]
        for size, filters in own:
            if filters is not None:
                done[size] += filters[0].used * rows * (-(-width // CHUNK) * TILES)
        return done.pop(3), sum(done.values())

    def run(self, feature_map: Array, rows: tuple[int, int], width: int, image: Array, base: Array) -> Array:
        """Compute trunk and tail on some rows of the feature map.

        Parameters
        ----------
        feature_map : (H, T, C * 32) float32
        rows : (begin, end)
        width : int
            W.
        image : (3, H + 2 m, W + 2 m or more) float32
            The head's input, with zeros around it, as wide as the head of the skip looks: 1 or 4. Without a skip
            nothing looks at it.
        base : (3, H + 2 n, W + 2 n) float32, or empty
            The picture, with n = `base_margin` pixels around it, padded by mirroring.

        Returns
        -------
        phases : (end - begin, W + 1 or more, 3 * s * s or more) float32
            By phase and colour. Behind those of the last pixel there are 15 more numbers at least.
        """
        if self.direct:
            return self.direct.run(feature_map, rows, width, base)
        (begin, end), height, lead = rows, len(feature_map), self.tail.size // 2
        line = -(-width // CHUNK) * CHUNK
        low, high = max(begin - lead, 0), min(end + lead, height)  # of what the tail looks at
        above, below = low - (begin - lead), end + lead - high
        depth = self.padded + COLOURS * self.tail.base
        features = empty((end - begin + 2 * lead, line + 2 * lead + 2, depth), np.float32)
        if self.trunk is None:
            from_feature_map(feature_map, self.channels, begin - lead, width, lead, image, 0, features)
        else:
            inputs = empty((high - low + 2, line + 4, self.padded + COLOURS * self.grid**2), np.float32)
            from_feature_map(feature_map, self.channels, low - 1, width, 1, image, self.grid, inputs)
            _convolve(inputs, self.trunk, 3, features[above : len(features) - below], lead)
        surround(features, above, below, lead, width, base if self.tail.base else base[:0], begin)
        y = self._enlarge(features, width, begin, height)
        if self.apart is not None:
            y[:, :width] += self._bicubic(base[:, begin : end + BICUBIC - 1], self.apart, y.shape)[:, :width]
        return y

    def _enlarge(self, features: Array, width: int, begin: int, height: int) -> Array:
        """The tail of the rows from `begin` on; pixels near a border have filters of their own."""
        tail, size, inside = self.tail, self.tail.size, self.tail.inside
        count = len(features) - size + 1
        y = empty((count, features.shape[1] - size, vectors_of(COLOURS * self.scale**2) * LANES), np.float32)
        _convolve(features, self._filters_of(inside, inside), size, y, 0)
        rows, columns = _near_border(begin, begin + count, height, tail.ring), _near_border(0, width, width, tail.ring)
        for h in rows:
            r, row = h - begin, tail.place(h, height)
            _convolve(features[r : r + size], self._filters_of(row, inside), size, y[r : r + 1], 0)
        for v in columns:
            column = tail.place(v, width)
            convolve_column(features, *self._filters_of(inside, column), size, y, v)
            for h in rows:
                r, filters = h - begin, self._filters_of(tail.place(h, height), column)
                convolve_column(features[r : r + size], *filters, size, y[r : r + 1], v)
        return y

    @staticmethod
    def _bicubic(base: Array, filters: tuple[Filters, Array], shape: tuple[int, ...]) -> Array:
        """The bicubic base of some rows, by phase and colour, as the tail's result lies in memory."""
        pixels = empty((base.shape[1], shape[1] + 2 * BICUBIC, COLOURS), np.float32)
        pixels[:, : base.shape[2]], pixels[:, base.shape[2] :] = base.transpose(1, 2, 0), 0
        y = empty(shape, np.float32)
        _convolve(pixels, filters, BICUBIC, y, 0)
        return y

    def _filters_of(self, row: Place, column: Place) -> tuple[Any, Array]:
        """Of the pixels at such places: transformed, or for a column near the border as they are; made when needed."""
        with self._lock:
            if (row, column) not in self._filters:
                with quiet_blas():  # which may sum in another order by more threads
                    w, bias = (_by_phase(own) for own in self.tail.filters(row, column))
                make = transformed if column == self.tail.inside else plain
                self._filters[row, column] = make(self._inputs(w)), self._outputs(bias)
            return self._filters[row, column]

    def _inputs(self, w: Array) -> Array:
        """Filters (O, C + n, k, k) to (O, C' + n, k, k), C' a multiple of 16."""
        none = np.zeros((len(w), self.padded - self.channels, *w.shape[2:]), w.dtype)
        return np.concatenate([w[:, : self.channels], none, w[:, self.channels :]], axis=1)

    @staticmethod
    def _outputs(bias: Array) -> Array:
        whole = np.zeros(vectors_of(len(bias)) * LANES, np.float32)
        whole[: len(bias)] = bias
        return whole


def _convolve(x: Array, filters: tuple[Filters, Array], size: int, y: Array, first: int) -> None:
    convolve(x, *filters, size, y, first, workspace_for(len(x), x.shape[2], size))


def _near_border(begin: int, end: int, extent: int, ring: int) -> list[int]:
    """Which of some places of an axis lie near one of its ends."""
    return [at for at in range(begin, end) if at < ring or at >= extent - ring]


def _on_grid(w: Array, grid: int) -> Array:
    """Filters of 3x3 or 9x9 as `from_feature_map` gives their inputs: (C, 3 * grid * grid, 3, 3)."""
    apart = w.reshape(*w.shape[:2], grid, 3, grid, 3)  # tap 3 a + i is neighbour i of what lies 3 a apart
    return apart.transpose(0, 2, 4, 1, 3, 5).reshape(len(w), -1, 3, 3)


def _by_phase(outputs: Array) -> Array:
    """From outputs by colour and phase to outputs by phase and colour, as they lie in the picture."""
    return np.ascontiguousarray(outputs.reshape(COLOURS, -1, *outputs.shape[1:]).swapaxes(0, 1)).reshape(outputs.shape)
