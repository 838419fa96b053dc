"""Run a packed network on a picture of any size."""

from functools import lru_cache
from typing import Any

import numpy as np

from npbsrn.arrays import empty
from npbsrn.kernels.direct_conv import correlate
from npbsrn.networks import FACTORS, MIDDLE
from npbsrn.packed.block import blocks_rows
from npbsrn.packed.ends import add_head, blocked, from_stream, to_stream, write_pixels
from npbsrn.packed.fold import Convolution, Folded
from npbsrn.packed.kernels import TILE
from npbsrn.packed.pack import pack_filters, planes_of
from npbsrn.packed.tail import BOTH, FIRST, INSIDE, LAST, Place, Tail
from npbsrn.threads import map_parallel, run_parallel

Array = np.ndarray[Any, Any]

LANES = 16
PEAKS = {"uint8": 255.0, "uint16": 65535.0}
BAND = 32  # rows whose float ends are computed at once


class Engine:
    """A packed network.

    Parameters
    ----------
    folded : Folded
    """

    def __init__(self, folded: Folded) -> None:
        config = folded.config
        self.scale, self.channels = int(config["scale"]), int(config["width"])
        self.gain = np.float32(config["input_gain"])
        self.base = config["base"] == "bicubic"
        self.coefficients = folded.coefficients
        w3, *w1 = ([pack_filters(w) for w in signs] for signs in folded.signs)
        self.words3, self.words1 = np.stack(w3), np.stack(w1, axis=1)
        self.head, self.trunk = ((blocked(w), b) for w, b in (folded.head, folded.trunk))
        self.tail = Tail(folded.tail, FACTORS[self.scale], self.base)

    def run(self, picture: Array, threads: int = 1) -> Array:
        """Enlarge a picture.

        Parameters
        ----------
        picture : (H, W, 3) uint8, uint16, or float32 in [0, 1]
        threads : int

        Returns
        -------
        enlarged : (H * scale, W * scale, 3), dtype of `picture`; float32 is clipped to [0, 1]
        """
        height, width, _ = picture.shape
        peak = PEAKS.get(picture.dtype.name, 0.0)
        values = picture.astype(np.float32) / np.float32(peak or 1)
        out = np.empty((height * self.scale, width * self.scale, 3), picture.dtype)
        self._whole(np.ascontiguousarray(values.transpose(2, 0, 1)), peak, out, threads)
        return out

    def _whole(self, x: Array, peak: float, out: Array, threads: int) -> None:
        _, height, width = x.shape
        full = -(-width // LANES) * LANES
        tiles = -(-width // TILE)
        head_in = np.zeros((3, height + 2, full + 2), np.float32)
        head_in[:, 1:-1, 1 : width + 1] = (x - np.float32(MIDDLE)) * self.gain
        base_in = np.pad(x, ((0, 0), (2, 2), (2, 2)), mode="symmetric") if self.base else None
        stream = empty((height, tiles, self.channels * TILE), np.float32)
        bands = [(y, min(y + BAND, height)) for y in range(0, height, BAND)]

        def begin(band: tuple[int, int]) -> None:
            to_stream(self._head(head_in, *band), self.head[1], stream, band[0])

        map_parallel(begin, bands)
        bits = empty((2, height + 2, planes_of(self.channels), tiles * TILE + 2 + TILE), np.uint16)
        bits[...] = 0
        run_parallel(blocks_rows, threads, stream, width, bits, self.words3, self.words1, self.coefficients)

        def end(band: tuple[int, int]) -> None:
            self._end(stream, head_in, base_in, width, peak, band, out)

        map_parallel(end, bands)

    def _head(self, head_in: Array, begin: int, end: int) -> Array:
        w, bias = self.head
        padded = np.ascontiguousarray(head_in[None, :, begin : end + 2])
        y = empty((1, w.shape[0] * w.shape[3], end - begin, padded.shape[3] - 2), np.float32)
        correlate(padded, w, y, 3, 0, end - begin)
        return y[0]

    def _end(
        self, stream: Array, head_in: Array, base_in: Array | None, width: int, peak: float, band: tuple[int, int],
        out: Array,
    ) -> None:  # fmt: skip
        begin, end = band
        height, full = len(stream), head_in.shape[2] - 2
        low, high = max(begin - 2, 0), min(end + 2, height)
        padded = empty((1, self.channels, high - low + 2, full + 2), np.float32)
        from_stream(stream, low - 1, width, padded[0])
        w, bias = self.trunk
        trunk = empty((1, w.shape[0] * w.shape[3], high - low, full), np.float32)
        correlate(padded, w, trunk, 3, 0, high - low)
        inputs = self.channels + (3 if self.base else 0)
        features = empty((1, inputs, end - begin + 4, full + 4), np.float32)
        above, below = low - (begin - 2), end + 2 - high
        head = self._head(head_in, low, high)
        add_head(trunk[0], bias, head, self.head[1], width, above, below, features[0])
        if base_in is not None:
            features[0, self.channels :, :, : width + 4] = base_in[:, begin : end + 4]
            features[0, self.channels :, :, width + 4 :] = 0
        phases = self._tail(features, width, begin == 0, end == height)
        write_pixels(phases, self.scale, peak, 0, out[begin * self.scale : end * self.scale])

    def _tail(self, features: Array, width: int, first: bool, last: bool) -> Array:
        """The tail's phases of a band; `first` and `last` say whether it has the picture's first and last row."""
        y = self._composed(features, INSIDE, INSIDE)
        end = features.shape[2] - 4
        rows: list[tuple[int, Place]] = [(0, BOTH)] if first and last and end == 1 else []
        rows = rows or [(0, FIRST)] * first + [(end - 1, LAST)] * last
        columns: list[tuple[int, Place]] = [(0, BOTH)] if width == 1 else [(0, FIRST), (width - 1, LAST)]
        for r, row in rows:
            y[:, r] = self._composed(features[:, :, r : r + 5], row, INSIDE)[:, 0]
        for v, column in columns:
            strip = self._composed(features[:, :, :, v : v + 5], INSIDE, column, turned=True)
            y[:, :, v] = strip[:, 0, :end]
            for r, row in rows:
                y[:, r, v] = self._composed(features[:, :, r : r + 5, v : v + 5], row, column)[:, 0, 0]
        return y

    def _composed(self, features: Array, row: Place, column: Place, turned: bool = False) -> Array:
        """(1, C, R + 4, W + 4) to (3 * s * s or more, R, W or more), at such places; or rows and columns exchanged."""
        w, bias = self._tail_filters(row, column, turned)
        if turned:  # vectors run along the row, and there would be one pixel to each
            features = features.transpose(0, 1, 3, 2)
        rows, width = features.shape[2] - 4, features.shape[3] - 4
        if spare := -width % LANES:
            features = np.pad(features, ((0, 0), (0, 0), (0, 0), (0, spare)))
        y = empty((1, w.shape[0] * w.shape[3], rows, width + spare), np.float32)
        correlate(np.ascontiguousarray(features), w, y, 5, 0, rows)
        y[0, : len(bias)] += bias[:, None, None]
        return y[0]

    @lru_cache(maxsize=32)  # noqa: B019
    def _tail_filters(self, row: Place, column: Place, turned: bool) -> Convolution:
        w, bias = self.tail.filters(row, column)
        return blocked(w.transpose(0, 1, 3, 2) if turned else w), bias
