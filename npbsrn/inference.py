"""Run a network on one picture of any size."""

from typing import Any

import numpy as np

from npbsrn.models import Model
from npbsrn.resize import resize, to_uint8
from npbsrn.threads import map_parallel, quiet_blas

Array = np.ndarray[Any, Any]

TILE = 256  # pixels of a tile's side: about 1 GiB of memory with 48 channels at x4


def run(model: Model | str, picture: Array, scale: int, tile: int = TILE) -> Array:
    """Enlarge a picture.

    Large pictures pass in tiles with so wide a margin that each pixel sees all that the network can look at;
    tiles change a result no more than the rounding of float sums does.

    Parameters
    ----------
    model : Model or "bicubic"
    picture : (H, W, 3) float32, in [0, 1]
    scale : int
    tile : int
        Side of the tiles, in pixels of `picture`.

    Returns
    -------
    enlarged : (H * scale, W * scale, 3) float32, clipped to [0, 1]
    """
    if isinstance(model, str):
        return np.clip(resize(picture, scale), 0, 1)
    height, width, _ = picture.shape
    margin = int(np.ceil(model.network.trace(1, 1).reach))
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
        map_parallel(run_tile, corners)
    return np.clip(result, 0, 1)


def _run_whole(model: Model, picture: Array) -> Array:
    x = np.ascontiguousarray(picture.transpose(2, 0, 1)[None])
    y, _ = model.network.apply(model.params, x)
    return y[0].transpose(1, 2, 0)


def run_uint8(model: Model | str, picture: Array, scale: int) -> Array:
    """Enlarge an 8-bit picture to an 8-bit picture: (H, W, 3) uint8 in and out.

    "bicubic" rounds after each axis, as `npbsrn.resize.resize` does.
    """
    if isinstance(model, str):
        return resize(picture, scale)
    return to_uint8(run(model, picture.astype(np.float32) / 255, scale) * 255)
