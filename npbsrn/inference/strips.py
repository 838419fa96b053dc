"""A picture that is read, enlarged and written strip by strip, where the whole would not fit into memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from npbsrn.errors import TooLargeError
from npbsrn.images.alpha import fill_unsure, filled_by, halved, sureness, within_neighbours
from npbsrn.images.fitting import Target, check_output
from npbsrn.images.layout import Layout
from npbsrn.images.picture import Picture
from npbsrn.images.resample import enlarged_side
from npbsrn.images.samples import BAND, to_fractions
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import PIECE, PLANE, Page, Window
from npbsrn.images.strips.fitting import FittedRows
from npbsrn.images.strips.opening import is_written_by_rows, writer_for
from npbsrn.images.tiles import Span
from npbsrn.images.writing import whole_file
from npbsrn.inference.needs import result_bytes
from npbsrn.inference.runners import FLOAT, Runner
from npbsrn.inference.upscaling import enlarge_filled
from npbsrn.runtime.memory import available_bytes
from npbsrn.runtime.progress import Progress, span_of
from npbsrn.runtime.threads import thread_count

Array = np.ndarray[Any, Any]

BUDGET = 75 * 10**7  # bytes to work in, where there are more: larger strips are hardly quicker
# Rows of a strip, and sides of the tiles in which it passes through a network: the first for which there is memory.
CHOICES = (1024, 1440), (512, 1440), (256, 1440), (256, 512), (128, 256), (64, 256), (32, 256), (16, 256)
LEVELS = 14  # bytes of floats beside the colours that flow under transparent pixels, for each of those


def why_not(target: Target, saving: Saving, runner: Runner, ensemble: bool) -> str:
    """What is to be changed that a result is written strip by strip; empty if it is."""
    if target is None or not is_written_by_rows(check_output(target, saving)):
        return "write a file .png, .tif or .ppm, which needs less memory"
    if ensemble:
        return "leave --ensemble out, which needs the whole picture"
    return "" if runner.can_run_rows() else "take a model that the packed engine runs, which needs less memory"


class Strips:
    """Enlarges and writes a picture that is read by rows; the samples are those of the whole picture.

    Parameters
    ----------
    rows : FittedRows
    runner : Runner
        For which `Runner.can_run_rows`.
    threads, tile : int, optional
    strip : int, optional
        Rows of the picture that are enlarged at once; by default, as many as there is memory for.

    Raises
    ------
    TooLargeError
        If there is too little memory even for a small strip.
    """

    def __init__(
        self, rows: FittedRows, runner: Runner, threads: int | None, tile: int | None, strip: int | None = None
    ) -> None:
        self.rows, self.runner, self.threads = rows, runner, threads or thread_count()
        self.width, self.height = (enlarged_side(side, runner.scale) for side in (rows.width, rows.height))
        sample = rows.sample
        has_alpha = sample.alpha is not None
        extents = rows.width, rows.height, sample.colour.itemsize
        self.layout = Layout(*extents, sample.grey, has_alpha, rows.is_filled)
        self.coarse: Array | None = None  # of colours that flow under transparent pixels: the half picture
        self.strip, self.tile, self.need = self._fitting(strip, tile)

    def _fitting(self, strip: int | None, tile: int | None) -> tuple[int, int, int]:
        """Rows of a strip, the side of tiles, and the memory that they take."""
        choices = [(strip or rows, tile or side) for rows, side in CHOICES]
        needs = [self._need(*choice) for choice in choices]
        available = available_bytes()
        if available is not None and needs[-1] > available and not strip:
            raise TooLargeError(
                f"{self.rows.width}x{self.rows.height} pixels need {needs[-1] / 1e9:.2f} GB of memory at "
                f"x{self.runner.scale:g} even in strips, and {available / 1e9:.2f} GB are available; "
                "take a smaller picture"
            )
        limit = max(needs[-1], BUDGET if available is None else min(BUDGET, available))
        chosen = next(n for n, need in enumerate(needs) if need <= limit)
        return *choices[chosen], needs[chosen]

    def _need(self, strip: int, tile: int) -> int:
        """Memory for strips of so many rows, in such tiles."""
        layout, runner, width = self.layout, self.runner, self.rows.width
        count = min(self.height, max(1, int(strip * runner.scale)))
        first = (self.height - count) // 2
        top, bottom = runner.rows_for((first, first + count), layout.height)
        window = (bottom - top) * width * layout.channels * (2 * layout.itemsize + (6 * FLOAT if layout.filled else 0))
        each = result_bytes(layout) + (layout.channels * layout.itemsize if layout.alpha else 0)
        result = count * self.width * each
        itemsize = FLOAT if layout.grey else layout.itemsize
        working = runner.rows_bytes((first, first + count), layout.height, width, itemsize, self.threads, tile)
        resized = self.threads * BAND * self.width * 3 * 5 * FLOAT
        levels = layout.width * layout.height // 4 * layout.channels * LEVELS if layout.filled else 0
        coding = 16 * PLANE * self.threads + 4 * max(PIECE, self.rows.piece_bytes)
        return max(levels, window + result + working + resized) + coding

    def write(self, target: Any, overwrite: bool, saving: Saving, progress: Progress | None = None) -> tuple[int, int]:
        """Write the result, whole or not at all; returns its width and height.

        Raises
        ------
        PictureError
            If the picture turns out to be damaged, or the file cannot be written.
        ExistsError
            If it is there already and not to be replaced.
        """
        sample, layout = self.rows.sample, self.layout
        page = Page(self.width, self.height, layout.channels, layout.alpha, sample.colour.dtype, sample.tags)
        with whole_file(target, overwrite) as file:
            if layout.filled:
                self.coarse = self._half()
            writer = writer_for(check_output(target, saving), file, page, saving, self.threads)
            for part in self._enlarged(progress):
                writer.write(part.samples())
                del part  # before the next strip is made
            writer.close()
        return self.width, self.height

    def _enlarged(self, progress: Progress | None) -> Iterator[Picture]:
        """Strips of the result."""
        window, step = Window(self.rows.pieces()), max(1, int(self.strip * self.runner.scale))
        for begin in range(0, self.height, step):
            end = min(begin + step, self.height)
            first, last = self.runner.rows_for((begin, end), self.rows.height)
            top = max(first - 1, 0)  # alpha is kept within the range of its neighbours
            part = window.rows(top, min(last + 1, self.rows.height))
            told = span_of(progress, begin / self.height, end / self.height, self.width * self.height)
            yield self._strip(part, top, (begin, end), told)

    def _strip(self, window: Picture, top: int, wanted: Span, progress: Progress | None) -> Picture:
        """Some rows of the result, from rows of the picture of which `top` is the first."""

        def run(samples: Array, told: Progress | None) -> Array:
            return self.runner.run_rows(samples, top, self.rows.height, wanted, self.threads, self.tile, told)

        def limit(large: Array, alpha: Array) -> Array:
            return within_neighbours(large, alpha, self.runner.scale, wanted[0], top)

        filled = window.colour
        if self.coarse is not None and window.alpha is not None:
            sure = sureness(window.alpha)
            colour = to_fractions(filled).reshape(*sure.shape, -1)
            filled = filled_by(self.coarse, colour, sure, top).reshape(filled.shape)
        return enlarge_filled(window, filled, run, limit if self.rows.varies else None, progress)

    def _half(self) -> Array:
        """The picture at half its size, filled: what colours that flow under transparent pixels come from."""
        height, width = -(-self.rows.height // 2), -(-self.rows.width // 2)
        colour = np.empty((height, width, 1 if self.layout.grey else 3), np.float32)
        sure = np.empty((height, width), np.float32)
        window = Window(self.rows.pieces())
        for top in range(0, height, BAND):
            bottom = min(top + BAND, height)
            part = window.rows(2 * top, min(2 * bottom, self.rows.height))
            assert part.alpha is not None
            known = sureness(part.alpha)
            level = halved(to_fractions(part.colour).reshape(*known.shape, -1), known)
            colour[top:bottom], sure[top:bottom] = level
        return fill_unsure(colour, sure)
