"""Run a packed network on a picture of any size."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.flat import flat_pixels, keep_flat
from npbsrn.images.samples import to_fractions
from npbsrn.images.tiles import Span, Tile, cut
from npbsrn.kernels.bits import TILE
from npbsrn.kernels.counts import AT_ONCE
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.kernels.direct_conv import blocked, computed, correlate
from npbsrn.kernels.simd import LANES
from npbsrn.kernels.winograd import STEP
from npbsrn.networks.base import BICUBIC_REACH, MIDDLE
from npbsrn.ops.enlarge import enlarge
from npbsrn.packed.ends import to_feature_map, write_pixels
from npbsrn.packed.float_end import FloatEnd
from npbsrn.packed.plan import Plan
from npbsrn.packed.program import compile_blocks
from npbsrn.packed.reference import blocks_ref
from npbsrn.packed.watching import Watch, run_watched, tell_share
from npbsrn.packed.wavefront import blocks_rows
from npbsrn.packed.workspace import make_job, make_values, map_of, tiles_of, values_size
from npbsrn.runtime import buffers
from npbsrn.runtime.buffers import empty
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.progress import Progress
from npbsrn.runtime.threads import map_parallel, run_parallel, thread_count

Array = np.ndarray[Any, Any]

DEPTH, CACHE = 8, 3 << 18  # stages that go over the rows together at most, and bytes of theirs to be kept in the cache
KEEP = 1 << 26  # bytes of working memory that may wait for the next picture
BAND = 20000  # pixels whose float ends are computed at once: in rows, of which two above and below are done twice
SHARES = 0.0, 0.03, 0.7, 1.0  # of a pass, done before and behind head, blocks, and float end: about
SIDES = (1440, 1024, 512, 256)  # pixels of a tile: about 0.7 GB with 48 channels and two threads, or what fits


class Engine:
    """A packed network, ready to run.

    The path of a picture: the head, a float convolution, produces the feature map; the blocks update it in place, on
    bits; trunk and tail are float convolutions again, band by band, and their results are written as pixels.

    The same picture gives the same bytes whatever the threads, the tiles and the bands: each number is computed by
    the same operations in the same order, and a tile's margin is as wide as the network's reach.

    Parameters
    ----------
    plan : Plan

    Attributes
    ----------
    name : str
        The network's.
    scale : int
        Factor of enlargement.
    digest : str, optional
        The hash of the weights, as their card has it.
    kernel : str
        How the blocks are computed: as `npbsrn.kernels.cpu.chosen_kernel` says, or "float" if the plan has float
        activations, whose convolutions are those of the layers.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.name, self.scale, self.channels = plan, plan.name, plan.scale, plan.channels
        self.digest: str | None = plan.card.get("sha256")
        self.gain = np.float32(plan.gain)
        self.kernel = chosen_kernel() if all(step.binary for step in plan.steps) else "float"
        self.program = None if self.kernel in ("float", "numpy") else compile_blocks(plan.blocks, plan.channels)
        w, bias = plan.head
        self.head = blocked(w), bias
        base = ("picture" if plan.enlarged else "bicubic") if plan.base else "none"
        skip = None if plan.trunk is None else plan.head
        self.end = FloatEnd(plan.trunk, skip, list(plan.tail), plan.shuffles, base, self.channels)
        # Pixels of the blocks' grid to one of the picture's, and how far a pixel of the picture is seen.
        self.factor = plan.scale if plan.enlarged else 1
        looks = w.shape[2] // 2 + sum(step.size // 2 for step in plan.steps) + self.end.margin
        self.margin = -(-looks // self.factor) + (int(BICUBIC_REACH) if plan.enlarged else 0)

    def run(
        self,
        picture: Array,
        threads: int | None = None,
        tile: int | None = None,
        progress: Progress | None = None,
        rows: Span | None = None,
    ) -> Array:
        """See `npbsrn.inference.runners.Runner.run`.

        Parameters
        ----------
        picture, threads, progress
            See there.
        tile : int, optional
            By default the largest of `SIDES` for which there is enough memory.
        rows : (from, to), optional
            Of `picture`, which are wanted: the others are only looked at. By default all.

        Returns
        -------
        enlarged : ((to - from) * scale, W * scale, 3), dtype of `picture`

        Raises
        ------
        TooLargeError
            If the system reports too little memory.
        """
        height, width, _ = picture.shape
        threads, (top, bottom) = min(threads or thread_count(), height), rows or (0, height)
        side = self._fitting(picture, (tile,) if tile else SIDES, threads, bottom - top)
        out = np.empty(((bottom - top) * self.scale, width * self.scale, 3), picture.dtype)
        done, total = 0, (bottom - top) * width * self.scale**2
        for part in cut(height, width, side, self.margin, STEP, (top, bottom)):
            pixels, place = part.area * self.scale**2, out[part.enlarged(self.scale, top)]
            self._tile(picture, part, place, threads, progress and partial(tell_share, progress, done, pixels, total))
            done += pixels
            if progress:
                progress(done, total)
        if buffers.held() > KEEP:
            buffers.clear()
        return out

    def working_bytes(self, height: int, width: int, side: int, threads: int) -> int:
        """Memory for enlarging a picture in such tiles, in addition to the result."""
        rows, columns = (min(extent, side + 2 * self.margin) * self.factor for extent in (height, width))
        tiles = -(-columns // TILE)
        if self.program is None:  # some arrays of the feature map's size
            feature_map = 6 * rows * tiles * TILE * 4 * self.channels
        else:
            lines = self.program.bases * self.program.pads.shape[1]
            feature_map = 4 * values_size(self.program, threads, rows, columns)
            feature_map += (DEPTH + 1) * (rows + 2) * lines * (tiles * TILE + 2) * 2
        inputs = rows * columns * 4 * 3 * 4  # the picture's pixels as float, and with margins, and as they are made
        bands = _bands((0, rows), columns, threads)
        ends = 4 * self.end.values(max(high - low for low, high in bands), columns)
        return feature_map + inputs + min(threads, len(bands)) * ends

    def needed_bytes(self, height: int, width: int, threads: int | None = None, tile: int | None = None) -> int:
        """See `npbsrn.inference.runners.Runner.needed_bytes`; less is taken, by smaller tiles, where there is less."""
        return self.working_bytes(height, width, tile or SIDES[0], min(threads or thread_count(), height))

    def can_run_rows(self) -> bool:
        """Whatever the tiles, the bytes are the same."""
        return True

    def rows_for(self, rows: Span, height: int) -> Span:
        """See `npbsrn.inference.runners.Runner.rows_for`."""
        begin, end = rows[0] // self.scale, -(-rows[1] // self.scale)
        return max(begin - self.margin, 0) // STEP * STEP, min(end + self.margin, height)

    def run_rows(
        self,
        window: Array,
        top: int,
        height: int,
        rows: Span,
        threads: int | None = None,
        tile: int | None = None,
        progress: Progress | None = None,
    ) -> Array:
        """See `npbsrn.inference.runners.Runner.run_rows`."""
        (first, last), begin, end = self.rows_for(rows, height), rows[0] // self.scale, -(-rows[1] // self.scale)
        window = np.ascontiguousarray(window[first - top : last - top])
        part = self.run(window, threads, tile, progress, (begin - first, end - first))
        return part[rows[0] - begin * self.scale : rows[1] - begin * self.scale]

    def rows_bytes(
        self, rows: Span, height: int, width: int, itemsize: int, threads: int | None = None, tile: int | None = None
    ) -> int:
        """See `npbsrn.inference.runners.Runner.rows_bytes`."""
        first, last = self.rows_for(rows, height)
        return self.needed_bytes(last - first, width, threads, tile)

    def _fitting(self, picture: Array, sides: tuple[int, ...], threads: int, rows: int) -> int:
        """The first of the given tile sides for which there is enough memory."""
        height, width, _ = picture.shape
        result, available = picture[:rows].nbytes * self.scale**2, available_bytes()
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

    def _tile(self, picture: Array, tile: Tile, out: Array, threads: int, watch: Watch | None) -> None:
        """Fill `out`, what is wanted of one tile."""
        rows, columns = ((begin * self.factor, end * self.factor) for begin, end in tile.inner)
        pass_ = _Pass(self, to_fractions(picture[tile.outer].transpose(2, 0, 1)), threads, watch)
        pass_.run(rows, columns, out)
        if self.plan.flat:
            (top, bottom), (left, right) = tile.inner
            flat = flat_pixels(picture[tile.outer])[top:bottom, left:right]  # a margin is wider than they look
            keep_flat(picture[slice(*tile.rows), slice(*tile.columns)], flat, out)


class _Pass:
    """One tile's pass through the network."""

    def __init__(self, engine: Engine, x: Array, threads: int, watch: Watch | None) -> None:
        self.engine, self.watch, plan = engine, watch, engine.plan
        large = enlarge(x[None], plan.scale)[0][0] if plan.enlarged else x
        _, self.height, self.width = large.shape
        self.threads = min(threads, self.height)
        full, around = -(-self.width // LANES) * LANES, plan.head[0].shape[2] // 2
        self.head_in = np.zeros((3, self.height + 2 * around, full + 2 * around), np.float32)
        inside = slice(around, around + self.height), slice(around, around + self.width)
        self.head_in[:, *inside] = (large - np.float32(MIDDLE)) * engine.gain
        base = ((0, 0), *[(engine.end.base_margin,) * 2] * 2)
        self.base_in = np.pad(large, base, mode="symmetric") if plan.base else x[:0]
        self.workers = min(self.threads, -(-self.height // 2))
        if engine.program is None:
            shape = self.height, -(-self.width // TILE), engine.channels * TILE
            self.feature_map = self.result = empty(shape, np.float32)
        else:
            size = self.height, self.width
            self.values = make_values(engine.program, self.workers, *size)
            self.feature_map = map_of(engine.program, self.values, 0, *size)
            self.result = map_of(engine.program, self.values, engine.program.result, *size)

    def run(self, rows: Span, columns: Span, out: Array) -> None:
        """Head, blocks, and the float end of the rows and columns that are wanted."""
        self._in_bands(self._begin, (0, self.height), 0)
        self._blocks(rows)

        def end(band: Span) -> None:
            s, (low, high) = self.engine.scale // self.engine.factor, band
            phases = self.engine.end.run(self.result, band, self.width, self.head_in, self.base_in)
            write_pixels(phases, s, columns[0], out[(low - rows[0]) * s : (high - rows[0]) * s])

        self._in_bands(end, rows, 2)

    def _in_bands(self, function: Callable[[Span], None], rows: Span, part: int) -> None:
        """One part of the pass, on bands of rows."""
        bands = _bands(rows, self.width, self.threads)
        map_parallel(function, bands, self.threads, self.watch and (lambda done: self._tell(part, done / len(bands))))

    def _tell(self, part: int, share: float) -> None:
        if self.watch:
            self.watch(SHARES[part] + (SHARES[part + 1] - SHARES[part]) * share)

    def _begin(self, band: Span) -> None:
        to_feature_map(self._head(band), self.engine.head[1], self.feature_map, band[0])

    def _blocks(self, rows: Span) -> None:
        """All blocks, on the wanted rows and those that trunk and tail also reach."""
        engine, program, looks = self.engine, self.engine.program, self.engine.end.reach
        if program is None:
            tiles = self.feature_map.reshape(self.height, -1, engine.channels, TILE)
            x = tiles.transpose(2, 0, 1, 3).reshape(engine.channels, self.height, -1)[:, :, : self.width]
            y = blocks_ref(x, engine.plan.blocks)
            to_feature_map(y, np.zeros(engine.channels, np.float32), self.feature_map, 0)
            return
        stages = len(program.stages) - 1
        together = -(-stages // -(-stages // DEPTH))  # so that no part has much less than the others
        depth = max(1, min(together, self.height // self.workers // 2))
        strip = max(1, CACHE // (depth * program.maps * program.tile * 4) // AT_ONCE) * AT_ONCE
        wanted = rows[0] - looks, rows[1] + looks
        job = make_job(program, self.values, self.workers, (self.height, self.width), depth, strip, wanted)
        # Compiled here, if it must be: a worker that is late or gives up would let the others wait.
        nothing = make_job(program, self.values, 1, (0, self.width), 1, 1, (0, 0))
        blocks_rows(0, 1, np.zeros(1, np.int64), nothing)
        total = tiles_of(program, (self.height, self.width), wanted)
        if self.watch is None:
            run_parallel(blocks_rows, self.workers, job)
        else:
            run_watched(job, self.workers, lambda done: self._tell(1, done / total))

    def _head(self, band: Span) -> Array:
        """The head's convolution, without its bias."""
        begin, end = band
        w, size = self.engine.head[0], self.engine.plan.head[0].shape[2]
        outputs = computed(self.engine.channels, 3)
        padded = np.ascontiguousarray(self.head_in[:, begin : end + size - 1])
        y = empty((outputs, end - begin, padded.shape[2] - size + 1), np.float32)
        correlate(padded[None], w, y[None], size, 0, end - begin)
        return y


def _bands(rows: Span, width: int, threads: int) -> list[Span]:
    """Bands of equal height, the same number for each thread, of at most about `BAND` pixels."""
    begin, end = rows
    count = -(-(end - begin) // (max(8, BAND // width) * threads)) * threads
    cuts = [begin + (end - begin) * n // count for n in range(count + 1)]
    return [(low, high) for low, high in pairwise(cuts) if low < high]
