"""Run a packed network on a picture of any size."""

from itertools import pairwise
from typing import Any

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.samples import to_fractions
from npbsrn.kernels.bits import TILE, pack_filters, planes_of
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.kernels.direct_conv import blocked, computed, correlate
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.winograd import STEP
from npbsrn.networks.base import FACTORS, MIDDLE
from npbsrn.packed.ends import to_stream, write_pixels
from npbsrn.packed.float_end import FloatEnd
from npbsrn.packed.lower import Folded
from npbsrn.packed.reference import blocks_ref
from npbsrn.packed.wavefront import blocks_rows, make_rooms
from npbsrn.runtime import buffers
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.threads import map_parallel, run_parallel, thread_count

Array = np.ndarray[Any, Any]
Rows = tuple[int, int]  # from, to

DEPTH, CACHE = 8, 3 << 18  # blocks that go over the rows together at most, and bytes of theirs to be kept in the cache
KEEP = 1 << 26  # bytes of working memory that may wait for the next picture
BAND = 20000  # pixels whose float ends are computed at once: in rows, of which two above and below are done twice
SIDES = (1440, 1024, 512, 256)  # pixels of a tile: about 0.7 GB with 48 channels and two threads, or what fits


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
        self.coefficients = folded.coefficients
        self.signs, self.plain = folded.signs, chosen_kernel() == "numpy"
        w3, *w1 = ([pack_filters(w) for w in signs] for signs in folded.signs)
        self.words3, self.words1 = np.stack(w3), np.stack(w1, axis=1)
        w, bias = folded.head
        self.head = blocked(w), bias
        self.end = FloatEnd(
            folded.trunk, folded.head, folded.tail, FACTORS[self.scale], str(config["base"]), self.channels
        )
        # A pixel for each 3x3 convolution, one for the head, and what trunk and tail look at.
        self.margin = len(w3) + 1 + self.end.margin

    def run(self, picture: Array, threads: int | None = None, tile: int | None = None) -> Array:
        """Enlarge a picture.

        Parameters
        ----------
        picture : (H, W, 3) uint8, uint16, or float32 in [0, 1]
        threads : int, optional
            By default `npbsrn.runtime.threads.thread_count()`.
        tile : int, optional
            Side of the tiles in which a large picture passes, in pixels of `picture`; by default the largest of `SIDES`
            for which there is memory.

        Returns
        -------
        enlarged : (H * scale, W * scale, 3), dtype of `picture`; float32 is clipped to [0, 1]

        Raises
        ------
        TooLargeError
            If the system says that there is not enough memory for it.
        """
        height, width, _ = picture.shape
        threads = min(threads or thread_count(), height)
        side = self._fitting(picture, (tile,) if tile else SIDES, threads)
        out = np.empty((height * self.scale, width * self.scale, 3), picture.dtype)
        for top in range(0, height, side):
            for left in range(0, width, side):
                self._tile(picture, (top, min(top + side, height)), (left, min(left + side, width)), out, threads)
        if buffers.held() > KEEP:
            buffers.clear()
        return out

    def working_bytes(self, height: int, width: int, side: int, threads: int) -> int:
        """Memory for the work on a picture in such tiles, beyond that of the result."""
        rows, columns = (min(extent, side + 2 * self.margin) for extent in (height, width))
        tiles, planes = -(-columns // TILE), planes_of(self.channels)
        stream = rows * tiles * TILE * (4 * self.channels + 2 * (DEPTH + 1) * planes)
        inputs = rows * columns * 4 * 3 * 4  # the picture's pixels as float, and with margins, and as they are made
        bands = _bands((0, rows), columns, threads)
        ends = 4 * self.end.values(max(high - low for low, high in bands), columns)
        return stream + inputs + min(threads, len(bands)) * ends

    def _fitting(self, picture: Array, sides: tuple[int, ...], threads: int) -> int:
        """The first of some sides of tiles for which there is memory."""
        height, width, _ = picture.shape
        result, available = picture.nbytes * self.scale**2, available_bytes()
        if available is None:
            return sides[0]
        available += buffers.held()  # which is there for the asking
        for side in sides:
            need = result + self.working_bytes(height, width, side, threads)
            if need <= available:
                return side
        cure = "take smaller tiles or a smaller picture" if result < available else "take a smaller picture"
        raise TooLargeError(
            f"{width}x{height} pixels need {need / 1e9:.2f} GB of memory, {result / 1e9:.2f} for the result alone, "
            f"and {available / 1e9:.2f} GB are available; {cure}"
        )

    def _tile(self, picture: Array, rows: Rows, columns: Rows, out: Array, threads: int) -> None:
        """Fill one tile of `out`."""
        # Groups of four pixels lie in a tile as they lie in the picture.
        outer = [(max(a - self.margin, 0) // STEP * STEP, b + self.margin) for a, b in (rows, columns)]
        inner = [(a - begin, b - begin) for (a, b), (begin, _) in zip((rows, columns), outer, strict=True)]
        pass_ = _Pass(self, to_fractions(picture[slice(*outer[0]), slice(*outer[1])].transpose(2, 0, 1)), threads)
        s = self.scale
        pass_.run(inner[0], inner[1], out[rows[0] * s : rows[1] * s, columns[0] * s : columns[1] * s])


class _Pass:
    """One tile's way through the network."""

    def __init__(self, engine: Engine, x: Array, threads: int) -> None:
        self.engine, self.threads = engine, threads
        _, self.height, self.width = x.shape
        self.full = -(-self.width // LANES) * LANES
        self.head_in = np.zeros((3, self.height + 2, self.full + 2), np.float32)
        self.head_in[:, 1:-1, 1 : self.width + 1] = (x - np.float32(MIDDLE)) * engine.gain
        around = ((0, 0), *[(engine.end.base_margin,) * 2] * 2)
        self.base_in = np.pad(x, around, mode="symmetric") if engine.end.base else x[:0]
        tiles = -(-self.width // TILE)
        self.stream = empty((self.height, tiles, engine.channels * TILE), np.float32)

    def run(self, rows: Rows, columns: Rows, out: Array) -> None:
        """Head, blocks, and the float end of the rows and columns that are wanted."""
        map_parallel(self._begin, _bands((0, self.height), self.width, self.threads), self.threads)
        self._blocks(rows)

        def end(band: Rows) -> None:
            s, (low, high) = self.engine.scale, band
            phases = self.engine.end.run(self.stream, band, self.width, self.head_in, self.base_in)
            write_pixels(phases, s, columns[0], out[(low - rows[0]) * s : (high - rows[0]) * s])

        map_parallel(end, _bands(rows, self.width, self.threads), self.threads)

    def _begin(self, band: Rows) -> None:
        to_stream(self._head(band), self.engine.head[1], self.stream, band[0])

    def _blocks(self, rows: Rows) -> None:
        """All blocks, as far as the trunk and the tail look from the rows that are wanted."""
        engine, top, bottom = self.engine, rows[0] - self.engine.end.reach, rows[1] + self.engine.end.reach
        if engine.plain:
            tiles = self.stream.reshape(self.height, -1, engine.channels, TILE)
            x = tiles.transpose(2, 0, 1, 3).reshape(engine.channels, self.height, -1)[:, :, : self.width]
            y = blocks_ref(x, engine.signs, engine.coefficients)
            to_stream(y, np.zeros(engine.channels, np.float32), self.stream, 0)
            return
        workers = min(self.threads, -(-self.height // 2))
        depth = max(1, min(DEPTH, self.height // workers // 2))
        strip = max(1, CACHE // (depth * engine.channels * TILE * 4))
        line = self.stream.shape[1] * TILE + 2
        planes = planes_of(engine.channels)
        bits = empty((depth + 1, self.height + 2, planes, line), np.uint16)
        bits[...] = 0
        rooms = make_rooms(workers, engine.channels, planes)
        job = self.width, bits, engine.words3, engine.words1, engine.coefficients, rooms, strip, top, bottom
        # Compiled here, if it must be: a worker that is late or gives up would let the others wait.
        blocks_rows(0, 1, np.zeros(1, np.int64), self.stream[:0], *job)
        run_parallel(blocks_rows, workers, self.stream, *job)

    def _head(self, band: Rows) -> Array:
        """The head's convolution, without its bias."""
        begin, end = band
        padded = np.ascontiguousarray(self.head_in[:, begin : end + 2])
        y = empty((computed(self.engine.channels, 3), end - begin, self.full), np.float32)
        correlate(padded[None], self.engine.head[0], y[None], 3, 0, end - begin)
        return y


def _bands(rows: Rows, width: int, threads: int) -> list[Rows]:
    """Rows in equal parts, as many for each thread, of about `BAND` pixels at most."""
    begin, end = rows
    count = -(-(end - begin) // (max(8, BAND // width) * threads)) * threads
    cuts = [begin + (end - begin) * n // count for n in range(count + 1)]
    return [(low, high) for low, high in pairwise(cuts) if low < high]
