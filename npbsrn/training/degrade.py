"""Small pictures as cameras and websites give them: a little blur, noise, JPEG."""

import io
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from npbsrn.training.cache import Decoded

Array = np.ndarray[Any, Any]
Rng = np.random.Generator

CLEAN = 0.25  # the share that is left as it is
BLURRED, SIGMA = 0.3, (0.2, 0.6)  # of the others, and the blur's standard deviation in pixels
NOISY, NOISE = 0.5, (0.5, 4.0)  # and the noise's in levels; half of it is the same in all three channels
PACKED, QUALITY = 0.85, (50, 95)  # and JPEG's quality
SUBSAMPLING = (0, 2)  # 4:4:4 and 4:2:0, as Pillow names them
UNIT = 16  # pixels: what JPEG treats together, with 4:2:0 in 16x16


def degrade(picture: Array, rng: Rng) -> Array:
    """Blur a picture, add noise, and pass it through JPEG, each with its own probability.

    Parameters
    ----------
    picture : (H, W, 3) uint8
    rng : numpy.random.Generator

    Returns
    -------
    degraded : (H, W, 3) uint8
        A function of picture and generator, and of the JPEG library that Pillow comes with. A quarter is `picture`.
    """
    if rng.random() < CLEAN:
        return picture
    x: Array = picture.astype(np.float32)
    if rng.random() < BLURRED:
        sigma = rng.uniform(*SIGMA)
        x = gaussian_filter(x, (sigma, sigma, 0))
    if rng.random() < NOISY:
        size = rng.uniform(*NOISE)
        x = x + rng.normal(0, size, (*x.shape[:2], 1 if rng.random() < 0.5 else 3))
    x = np.clip(np.rint(x), 0, 255).astype(np.uint8)
    if rng.random() < PACKED:
        file = io.BytesIO()
        quality, subsampling = int(rng.integers(QUALITY[0], QUALITY[1] + 1)), int(rng.choice(SUBSAMPLING))
        Image.fromarray(x).save(file, "JPEG", quality=quality, subsampling=subsampling)
        x = np.asarray(Image.open(file))
    return x


def degraded_patch(picture: Decoded, top: int, left: int, side: int, rng: Rng) -> Array:
    """A patch of a picture, degraded with its surroundings.

    Where the picture has room, 16 to 31 pixels above and to the left and 16 below and to the right are degraded with
    it, so that the patch has no borders of its own and JPEG's grid falls anywhere.

    Returns
    -------
    patch : (side, side, 3) uint8
    """
    corner, extent = np.array([top, left]), np.array([picture.height, picture.width])
    first = np.maximum(corner - rng.integers(UNIT, 2 * UNIT, 2), 0)
    end = np.minimum(corner + side + UNIT, extent)
    region = picture.rows(int(first[0]), int(end[0] - first[0]))[:, first[1] : end[1]]
    y, x = corner - first
    return degrade(region, rng)[y : y + side, x : x + side]
