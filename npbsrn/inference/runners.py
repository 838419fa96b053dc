"""The classes that enlarge pictures: what each of them does, the reference, and bicubic interpolation."""

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from npbsrn.images.resample import enlarged_side, resize_rows, resize_to, rows_for
from npbsrn.images.resize import resize
from npbsrn.images.samples import BAND, to_fractions, to_samples
from npbsrn.images.tiles import Span, cut
from npbsrn.models import Model
from npbsrn.networks.base import make_network
from npbsrn.packed.plan import Plan
from npbsrn.packed.reference import plan_ref
from npbsrn.runtime.progress import Progress
from npbsrn.runtime.threads import map_parallel, quiet_blas, thread_count

Array = np.ndarray[Any, Any]

SIDE = 256  # pixels of a reference tile's side
WORKING = 1 << 30  # bytes that the reference takes for such a tile: about, with 48 channels at x4
FLOAT = 4  # bytes


@runtime_checkable
class Runner(Protocol):
    """The interface of `npbsrn.packed.engine.Engine` and the classes below, which enlarge pictures.

    Large pictures pass in strips (`npbsrn.inference.strips`) through a runner that `can_run_rows`. Any other one
    inherits `digest` and the last four methods from `WholeOnly`.

    Attributes
    ----------
    scale : int, or float of `npbsrn.inference.any_scale.Composed` and `Bicubic`
        Factor of enlargement.
    name : str
        Its name in a report.
    """

    name: str

    @property
    def scale(self) -> float:
        """Factor of enlargement."""
        ...

    @property
    def digest(self) -> str | None:
        """The hash of the weights, as their card has it; None of a model that was never saved, and without weights."""
        ...

    def run(
        self, picture: Array, threads: int | None = None, tile: int | None = None, progress: Progress | None = None
    ) -> Array:
        """Enlarge a picture.

        Parameters
        ----------
        picture : (H, W, 3) uint8, uint16, or float32 in [0, 1]
        threads : int, optional
            By default `npbsrn.runtime.threads.thread_count()`.
        tile : int, optional
            Side of the tiles into which a large picture is cut, in pixels of `picture`.
        progress : callable, optional
            Called in this thread as ``progress(done, total)`` now and then, and at the end with ``done == total``;
            `done` never falls. Both count the result's pixels, of which `done` stands for the work so far. If it
            raises, the work ends.

        Returns
        -------
        enlarged : (H * scale, W * scale, 3), dtype of `picture`
            Its sides are rounded as by `npbsrn.images.resample.enlarged_side`, if `scale` is no whole number. Whole
            numbers are rounded halves up; floats are clipped to [0, 1].
        """
        ...

    def needed_bytes(self, height: int, width: int, threads: int | None = None, tile: int | None = None) -> int:
        """Memory that `run` takes for a picture of this size, beside the picture and its result; at most, about."""
        ...

    def can_run_rows(self) -> bool:
        """Whether rows of a result do not depend on how it is cut, so that `run_rows` gives those of the whole."""
        ...

    def rows_for(self, rows: Span, height: int) -> Span:
        """On which rows of a picture rows of the result depend.

        Parameters
        ----------
        rows : (from, to)
            Of the result.
        height : int
            Of the picture.
        """
        ...

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
        """Some rows of the result of a picture: the bytes of the whole.

        Parameters
        ----------
        window : (R, W, 3)
            Rows of the picture: those of `rows_for`, or more.
        top : int
            Which row of the picture the first one of `window` is.
        height : int
            Of the picture.
        rows : (from, to)
            Of the result.
        threads, tile, progress
            See `run`.

        Returns
        -------
        enlarged : (to - from, W * scale, 3), dtype of `window`
        """
        ...

    def rows_bytes(
        self, rows: Span, height: int, width: int, itemsize: int, threads: int | None = None, tile: int | None = None
    ) -> int:
        """Memory that `run_rows` takes for these rows of a picture of this size, beside its window and its result.

        Parameters
        ----------
        rows : (from, to)
            Of the result.
        height, width : int
            Of the picture.
        itemsize : int
            Bytes of a sample, where one step's rows are the next one's window.
        threads, tile
            See `run`.
        """
        ...


class WholeOnly:
    """What a `Runner` inherits whose result depends on how a picture is cut: nobody asks it for rows."""

    digest: str | None = None

    def can_run_rows(self) -> bool:
        """No."""
        return False

    def rows_for(self, rows: Span, height: int) -> Span:
        """Not to be called, as `can_run_rows` says."""
        raise NotImplementedError

    def run_rows(self, window: Array, top: int, height: int, rows: Span, *how: Any, **named: Any) -> Array:
        """Not to be called, as `can_run_rows` says."""
        raise NotImplementedError

    def rows_bytes(self, rows: Span, height: int, width: int, itemsize: int, *how: Any, **named: Any) -> int:
        """Not to be called, as `can_run_rows` says."""
        raise NotImplementedError


class Reference(WholeOnly):
    """A model's layers, operation by operation.

    Large pictures are cut into tiles whose margin is the network's reach; tiling changes a result no more than the
    rounding of float sums does.
    """

    def __init__(self, model: Model) -> None:
        self.model, self.scale, self.name = model, model.scale, model.name
        self.digest = model.card.get("sha256")
        self.reach = math.ceil(model.network.trace(1, 1).reach)

    def run(
        self, picture: Array, threads: int | None = None, tile: int | None = None, progress: Progress | None = None
    ) -> Array:
        """See `Runner.run`."""
        values = to_fractions(picture)
        (height, width, _), scale = picture.shape, self.scale
        tiles = list(cut(height, width, tile or SIDE, self.reach))
        result = np.empty((height * scale, width * scale, 3), np.float32)

        def enlarge(tile: Any) -> None:
            whole = self._whole(values[tile.outer])
            (top, bottom), (left, right) = tile.inner
            result[tile.enlarged(scale)] = whole[top * scale : bottom * scale, left * scale : right * scale]

        def watch(done: int) -> None:
            assert progress
            progress(result.size // 3 * done // len(tiles), result.size // 3)

        with quiet_blas():
            map_parallel(enlarge, tiles, threads, watch if progress else None)
        return to_samples(result, picture.dtype)

    def needed_bytes(self, height: int, width: int, threads: int | None = None, tile: int | None = None) -> int:
        """See `Runner.needed_bytes`."""
        side = tile or SIDE
        tiles = math.ceil(height / side) * math.ceil(width / side)
        values = height * width * (3 + 3 * self.scale**2) * FLOAT  # the picture's and the result's
        return WORKING * min(threads or thread_count(), tiles) + values

    def _whole(self, values: Array) -> Array:
        x = np.ascontiguousarray(values.transpose(2, 0, 1)[None])
        y, _ = self.model.network.apply(self.model.params, x)
        return y[0].transpose(1, 2, 0)


class PlanReference(Reference):
    """A packed network, operation by operation; of a packed file there are no layers."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.scale, self.name = plan, plan.scale, plan.name
        self.digest = plan.card.get("sha256")
        self.reach = math.ceil(make_network(plan.config).trace(1, 1).reach)

    def _whole(self, values: Array) -> Array:
        return plan_ref(np.ascontiguousarray(values.transpose(2, 0, 1)), self.plan).transpose(1, 2, 0)


class Bicubic:
    """Bicubic interpolation.

    Parameters
    ----------
    scale : float
    by_axis : bool
        Whether to round to 8 bits after each axis, as in the protocol of the literature, or once at the end.
    """

    name = "bicubic"
    digest: str | None = None

    def __init__(self, scale: float, by_axis: bool = False) -> None:
        self.scale, self.by_axis = scale, by_axis

    def run(
        self, picture: Array, threads: int | None = None, tile: int | None = None, progress: Progress | None = None
    ) -> Array:
        """See `Runner.run`; tiles have no effect."""
        if self.by_axis and picture.dtype == np.uint8:
            result = resize(picture, self.scale)
        else:
            height, width = (enlarged_side(side, self.scale) for side in picture.shape[:2])
            result = resize_to(picture, height, width, threads)
        if progress:
            progress(result.size // 3, result.size // 3)
        return result

    def needed_bytes(self, height: int, width: int, threads: int | None = None, tile: int | None = None) -> int:
        """See `Runner.needed_bytes`: a band of rows for each thread, as floats, along one axis and then both."""
        return min(threads or thread_count(), height) * BAND * width * math.ceil(2 + 3 * self.scale) * 3 * FLOAT

    def can_run_rows(self) -> bool:
        """See `Runner.can_run_rows`."""
        return not self.by_axis

    def rows_for(self, rows: Span, height: int) -> Span:
        """See `Runner.rows_for`."""
        return rows_for((height, enlarged_side(height, self.scale)), rows)

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
        """See `Runner.run_rows`."""
        width = enlarged_side(window.shape[1], self.scale)
        result = resize_rows(window, (height, enlarged_side(height, self.scale)), width, rows, top, threads)
        if progress:
            progress(result.size // 3, result.size // 3)
        return result

    def rows_bytes(
        self, rows: Span, height: int, width: int, itemsize: int, threads: int | None = None, tile: int | None = None
    ) -> int:
        """See `Runner.rows_bytes`."""
        first, last = self.rows_for(rows, height)
        return self.needed_bytes(last - first, width, threads)
