"""Where a picture is of one colour, an enlargement must be of that colour, too."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

REACH = 2  # pixels: as far as bicubic enlargement looks


def flat_pixels(picture: Array) -> Array:
    """Which pixels have the colour of all pixels around them, as far as bicubic enlargement looks: 5x5.

    Parameters
    ----------
    picture : (H, W, C)

    Returns
    -------
    flat : (H, W) bool
    """
    beside = _all_channels(picture[:, 1:] == picture[:, :-1])  # the pixel to the left is the same
    above = _all_channels(picture[1:] == picture[:-1])
    rows = _whole(beside, 1, picture.shape[1])  # the row's five pixels are of one colour
    return _whole(above, 0, len(picture)) & _whole(rows[1:] & rows[:-1], 0, len(picture)) & rows


def keep_flat(picture: Array, flat: Array, enlarged: Array) -> None:
    """Write flat pixels' colours over what a network has made of them.

    Parameters
    ----------
    picture : (H, W, C)
    flat : (H, W) bool
    enlarged : (H * s, W * s, C)
        Changed in place.
    """
    height, width, channels = picture.shape
    scale = len(enlarged) // max(height, 1)
    for y in np.flatnonzero(flat.any(axis=1)):
        rows = enlarged[y * scale : (y + 1) * scale].reshape(scale, width, scale, channels)
        rows[:, flat[y]] = picture[y, flat[y], None]


def _all_channels(same: Array) -> Array:
    result = same[..., 0].copy()
    for n in range(1, same.shape[-1]):
        result &= same[..., n]
    return result


def _whole(same: Array, axis: int, extent: int) -> Array:
    """Whether all pairs of neighbours within `REACH` of a pixel are the same; beyond the picture there are none."""
    margin = [(0, 0), (0, 0)]
    margin[axis] = REACH, REACH
    padded, result = np.pad(same, margin, constant_values=True), np.ones(1, bool)
    for shift in range(2 * REACH):
        result = result & padded.take(range(shift, shift + extent), axis)
    return result
