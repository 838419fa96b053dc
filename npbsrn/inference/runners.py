"""Run a network on one picture of any size."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

from npbsrn.images.resize import resize
from npbsrn.images.samples import to_fractions, to_samples
from npbsrn.runtime.threads import map_parallel, quiet_blas
from npbsrn.storage.models import Model

Array = np.ndarray[Any, Any]

TILE = 256  # pixels of a tile's side: about 1 GiB of memory with 48 channels at x4


@runtime_checkable
class Engine(Protocol):
    """What runs a network in a form of its own, as `npbsrn.packed.engine.Engine`."""

    scale: int
    name: str

    def run(self, picture: Array, threads: int | None = None, tile: int | None = None) -> Array:
        """Enlarge (H, W, 3) uint8, uint16, or float32 in [0, 1], to the same dtype."""
        ...


Runnable = Engine | Model | str


def run(model: Runnable, picture: Array, scale: int, threads: int | None = None, tile: int | None = None) -> Array:
    """Enlarge a picture.

    Large pictures pass in tiles with so wide a margin that each pixel sees all that the network can look at. With a
    `Model`, whose float operations are run, tiles change a result no more than the rounding of float sums does; with an
    engine, nothing changes a result.

    Parameters
    ----------
    model : Engine, Model or "bicubic"
    picture : (H, W, 3) uint8, uint16, or float32 in [0, 1]
    scale : int
    threads : int, optional
        By default `npbsrn.runtime.threads.thread_count()`.
    tile : int, optional
        Side of the tiles, in pixels of `picture`.

    Returns
    -------
    enlarged : (H * scale, W * scale, 3), dtype of `picture`
        Whole numbers are rounded halves up; floats are clipped to [0, 1].
    """
    if not isinstance(model, Model | str):
        return model.run(picture, threads, tile)
    values = to_fractions(picture)
    exact = resize(values, scale) if isinstance(model, str) else _run_float(model, values, threads, tile or TILE)
    return to_samples(exact, picture.dtype)


def _run_float(model: Model, picture: Array, threads: int | None, tile: int) -> Array:
    height, width, _ = picture.shape
    scale, margin = model.scale, int(np.ceil(model.network.trace(1, 1).reach))
    result = np.empty((height * scale, width * scale, 3), np.float32)

    def run_tile(corner: tuple[int, int]) -> None:
        top, left = corner
        bottom, right = min(top + tile, height), min(left + tile, width)
        outer_top, outer_left = max(top - margin, 0), max(left - margin, 0)
        outer = picture[outer_top : bottom + margin, outer_left : right + margin]
        enlarged = _run_whole(model, outer)
        inner = enlarged[(top - outer_top) * scale :, (left - outer_left) * scale :]
        area = (bottom - top) * scale, (right - left) * scale
        result[top * scale : bottom * scale, left * scale : right * scale] = inner[: area[0], : area[1]]

    corners = [(top, left) for top in range(0, height, tile) for left in range(0, width, tile)]
    with quiet_blas():
        map_parallel(run_tile, corners, threads)
    return result


def _run_whole(model: Model, picture: Array) -> Array:
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    y, _ = model.network.apply(model.params, x)
    return y[0].transpose(1, 2, 0)


def run_uint8(model: Runnable, picture: Array, scale: int) -> Array:
    """Enlarge an 8-bit picture to an 8-bit picture: (H, W, 3) uint8 in and out.

    "bicubic" rounds after each axis, as `npbsrn.images.resize.resize` does.
    """
    return resize(picture, scale) if isinstance(model, str) else run(model, picture, scale)
