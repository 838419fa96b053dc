"""Run a packed network on a picture of any size."""

from typing import Any

import numpy as np

from npbsrn import arrays
from npbsrn.arrays import empty
from npbsrn.errors import TooLargeError
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.kernels.direct_conv import OUTPUTS, blocked, correlate
from npbsrn.kernels.simd import LANES
from npbsrn.memory import available_bytes
from npbsrn.networks import FACTORS, MIDDLE
from npbsrn.packed.block import blocks_rows
from npbsrn.packed.ends import add_head, from_stream, to_stream, write_pixels
from npbsrn.packed.fold import Convolution, Folded
from npbsrn.packed.kernels import TILE
from npbsrn.packed.pack import pack_filters, planes_of
from npbsrn.packed.plain import blocks_ref
from npbsrn.packed.tail import BOTH, FIRST, INSIDE, LAST, Place, Tail
from npbsrn.samples import PEAKS, to_fractions
from npbsrn.threads import map_parallel, quiet_blas, run_parallel, thread_count

Array = np.ndarray[Any, Any]
Rows = tuple[int, int]  # from, to

DEPTH, CACHE = 4, 1 << 19  # blocks that go over the rows together at most, and bytes of theirs to be kept in the cache
KEEP = 1 << 26  # bytes of working memory that may wait for the next picture
BAND = 32  # rows whose float ends are computed at once
TILE_SIDE = 1024  # pixels: about 0.4 GB with 48 channels


class Engine:
    """A packed network, ready to run.

    A picture's way: the head's float convolution begins the stream; the blocks pass it on bits, in place; trunk and
    tail are float convolutions again, band by band, and what they give is written as pixels.

    The same picture gives the same bytes whatever the threads, the tiles and the bands: each number is computed by
    the same operations in the same order, and a tile's margin is as wide as the network can look.

    Parameters
    ----------
    folded : Folded
    """

    def __init__(self, folded: Folded) -> None:
        config = folded.config
        self.name, self.scale, self.channels = str(config["name"]), folded.scale, int(config["width"])
        self.gain = np.float32(config["input_gain"])
        self.base = config["base"] == "bicubic"
        self.coefficients = folded.coefficients
        self.signs, self.plain = folded.signs, chosen_kernel() == "numpy"
        w3, *w1 = ([pack_filters(w) for w in signs] for signs in folded.signs)
        self.words3, self.words1 = np.stack(w3), np.stack(w1, axis=1)
        self.head, self.trunk = ((blocked(w), b) for w, b in (folded.head, folded.trunk))
        self.tail = Tail(folded.tail, FACTORS[self.scale], self.base)
        self._filters: dict[tuple[Place, Place, bool], Convolution] = {}
        with quiet_blas():  # which may sum in another order by more threads
            for row in (INSIDE, FIRST, LAST):
                for column in (INSIDE, FIRST, LAST):
                    self.tail_filters(row, column, turned=row == INSIDE != column)
        self.margin = len(w3) + 4  # a pixel for each 3x3 convolution, and two for the tail

    def run(self, picture: Array, threads: int | None = None, tile: int | None = None) -> Array:
        """Enlarge a picture.

        Parameters
        ----------
        picture : (H, W, 3) uint8, uint16, or float32 in [0, 1]
        threads : int, optional
            By default `npbsrn.threads.thread_count()`.
        tile : int, optional
            Side of the tiles in which a large picture passes, in pixels of `picture`.

        Returns
        -------
        enlarged : (H * scale, W * scale, 3), dtype of `picture`; float32 is clipped to [0, 1]

        Raises
        ------
        TooLargeError
            If the system says that there is not enough memory for it.
        """
        height, width, _ = picture.shape
        side, threads = tile or TILE_SIDE, threads or thread_count()
        self._refuse_too_large(picture, side, threads)
        out = np.empty((height * self.scale, width * self.scale, 3), picture.dtype)
        for top in range(0, height, side):
            for left in range(0, width, side):
                self._tile(picture, (top, min(top + side, height)), (left, min(left + side, width)), out, threads)
        if arrays.held() > KEEP:
            arrays.clear()
        return out

    def working_bytes(self, height: int, width: int, side: int, threads: int) -> int:
        """Memory for the work on a picture in such tiles, beyond that of the result."""
        rows, columns = (min(extent, side + 2 * self.margin) for extent in (height, width))
        tiles, planes = -(-columns // TILE), planes_of(self.channels)
        stream = rows * tiles * TILE * (4 * self.channels + 2 * (DEPTH + 1) * planes)
        inputs = rows * columns * 4 * 3 * 4  # the picture's pixels as float, and with margins, and as they are made
        values = 3 * self.channels + max(3 * self.scale**2, self.channels) + 3 + 2 * OUTPUTS
        return stream + inputs + min(threads, -(-rows // BAND)) * (BAND + 6) * (columns + LANES) * values * 4

    def _refuse_too_large(self, picture: Array, side: int, threads: int) -> None:
        height, width, _ = picture.shape
        result, available = picture.nbytes * self.scale**2, available_bytes()
        available = None if available is None else available + arrays.held()  # which is there for the asking
        need = result + self.working_bytes(height, width, side, threads)
        if available is not None and need > available:
            raise TooLargeError(
                f"{width}x{height} pixels need {need / 1e9:.2f} GB of memory, {result / 1e9:.2f} for the result alone, "
                f"and {available / 1e9:.2f} GB are available; take smaller tiles or a smaller picture"
            )

    def _tile(self, picture: Array, rows: Rows, columns: Rows, out: Array, threads: int) -> None:
        """Fill one tile of `out`."""
        outer = [(max(a - self.margin, 0), b + self.margin) for a, b in (rows, columns)]
        inner = [(a - begin, b - begin) for (a, b), (begin, _) in zip((rows, columns), outer, strict=True)]
        peak = PEAKS.get(picture.dtype.name, 0.0)
        pass_ = _Pass(self, to_fractions(picture[slice(*outer[0]), slice(*outer[1])].transpose(2, 0, 1)), threads)
        s = self.scale
        pass_.run(inner[0], inner[1], peak, out[rows[0] * s : rows[1] * s, columns[0] * s : columns[1] * s])

    def tail_filters(self, row: Place, column: Place, turned: bool) -> Convolution:
        """Of the pixels at such places, as `correlate` reads them; with rows and columns exchanged if `turned`."""
        key = row, column, turned
        if key not in self._filters:
            w, bias = self.tail.filters(row, column)
            bias = bias if self.base else bias + np.float32(MIDDLE)
            self._filters[key] = blocked(w.transpose(0, 1, 3, 2) if turned else w), bias
        return self._filters[key]


class _Pass:
    """One tile's way through the network."""

    def __init__(self, engine: Engine, x: Array, threads: int) -> None:
        self.engine, self.threads = engine, threads
        _, self.height, self.width = x.shape
        self.full = -(-self.width // LANES) * LANES
        self.head_in = np.zeros((3, self.height + 2, self.full + 2), np.float32)
        self.head_in[:, 1:-1, 1 : self.width + 1] = (x - np.float32(MIDDLE)) * engine.gain
        self.base_in = np.pad(x, ((0, 0), (2, 2), (2, 2)), mode="symmetric") if engine.base else None
        tiles = -(-self.width // TILE)
        self.stream = empty((self.height, tiles, engine.channels * TILE), np.float32)

    def run(self, rows: Rows, columns: Rows, peak: float, out: Array) -> None:
        """Head, blocks, and the float end of the rows and columns that are wanted."""
        map_parallel(self._begin, _bands(0, self.height), self.threads)
        self._blocks()

        def end(band: Rows) -> None:
            s, (low, high) = self.engine.scale, band
            write_pixels(self._end(band), s, peak, columns[0], out[(low - rows[0]) * s : (high - rows[0]) * s])

        map_parallel(end, _bands(*rows), self.threads)

    def _begin(self, band: Rows) -> None:
        to_stream(self._head(band), self.engine.head[1], self.stream, band[0])

    def _blocks(self) -> None:
        engine = self.engine
        if engine.plain:
            x = np.empty((engine.channels, self.height, self.width + 2), np.float32)
            from_stream(self.stream, 0, self.width, x)
            y = blocks_ref(x[:, :, 1:-1], engine.signs, engine.coefficients)
            to_stream(y, np.zeros(engine.channels, np.float32), self.stream, 0)
            return
        workers = min(self.threads, -(-self.height // 2))
        row = self.stream[0].nbytes
        depth = max(1, min(DEPTH, CACHE // row, self.height // workers // 2))
        line = self.stream.shape[1] * TILE + 2
        bits = empty((depth + 1, self.height + 2, planes_of(engine.channels), line), np.uint16)
        bits[...] = 0
        job = self.width, bits, engine.words3, engine.words1, engine.coefficients
        # Compiled here, if it must be: a worker that is late or gives up would let the others wait.
        blocks_rows(0, 1, np.zeros(1, np.int64), self.stream[:0], *job)
        run_parallel(blocks_rows, workers, self.stream, *job)

    def _head(self, band: Rows) -> Array:
        """The head's convolution, without its bias."""
        begin, end = band
        return _convolve(np.ascontiguousarray(self.head_in[:, begin : end + 2]), self.engine.head[0], 3)

    def _end(self, band: Rows) -> Array:
        """The phases of some rows, from the stream."""
        engine, (begin, end) = self.engine, band
        low, high = max(begin - 2, 0), min(end + 2, self.height)  # of what the tail looks at
        padded = empty((engine.channels, high - low + 2, self.full + 2), np.float32)
        from_stream(self.stream, low - 1, self.width, padded)
        (w, bias), head = engine.trunk, self._head((low, high))
        inputs = engine.channels + (3 if engine.base else 0)
        features = empty((inputs, end - begin + 4, self.full + 4), np.float32)
        above, below = low - (begin - 2), end + 2 - high
        add_head(_convolve(padded, w, 3), bias, head, engine.head[1], self.width, above, below, features)
        if self.base_in is not None:
            features[engine.channels :, :, : self.width + 4] = self.base_in[:, begin : end + 4]
            features[engine.channels :, :, self.width + 4 :] = 0
        return self._tail(features, begin == 0, end == self.height)

    def _tail(self, features: Array, first: bool, last: bool) -> Array:
        """The tail's phases of a band; `first` and `last` say whether it has the picture's first and last row."""
        y = self._composed(features, INSIDE, INSIDE)
        end = features.shape[1] - 4
        rows: list[tuple[int, Place]] = [(0, BOTH)] if self.height == 1 else []
        rows = rows or [(0, FIRST)] * first + [(end - 1, LAST)] * last
        columns: list[tuple[int, Place]] = [(0, BOTH)] if self.width == 1 else [(0, FIRST), (self.width - 1, LAST)]
        for r, row in rows:
            y[:, r] = self._composed(features[:, r : r + 5], row, INSIDE)[:, 0]
        for v, column in columns:
            y[:, :, v] = self._composed(features[:, :, v : v + 5], INSIDE, column, turned=True)[:, 0, :end]
            for r, row in rows:
                y[:, r, v] = self._composed(features[:, r : r + 5, v : v + 5], row, column)[:, 0, 0]
        return y

    def _composed(self, features: Array, row: Place, column: Place, turned: bool = False) -> Array:
        """(C, R + 4, W + 4) to (3 * s * s or more, R, W or more), at such places; or rows and columns exchanged."""
        w, bias = self.engine.tail_filters(row, column, turned)
        if turned:  # vectors run along the row, and there would be one pixel to each
            features = features.transpose(0, 2, 1)
        if spare := -(features.shape[2] - 4) % LANES:
            features = np.pad(features, ((0, 0), (0, 0), (0, spare)))
        y = _convolve(np.ascontiguousarray(features), w, 5)
        y[: len(bias)] += bias[:, None, None]
        return y


def _bands(begin: int, end: int) -> list[Rows]:
    return [(y, min(y + BAND, end)) for y in range(begin, end, BAND)]


def _convolve(padded: Array, w: Array, size: int) -> Array:
    """Valid convolution of (C, R + k - 1, W + k - 1), W a multiple of 16, by blocked filters."""
    rows, width = (extent - size + 1 for extent in padded.shape[1:])
    y = empty((w.shape[0] * w.shape[3], rows, width), np.float32)
    correlate(padded[None], w, y[None], size, 0, rows)
    return y
