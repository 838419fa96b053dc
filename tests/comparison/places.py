"""Where a picture lies in another."""

import numpy as np


def holds(whole, part):
    """Whether a picture lies anywhere in another, by looking at its upper left corner first."""
    height, width = part.shape[:2]
    corners = np.argwhere((whole[: len(whole) - height + 1, : whole.shape[1] - width + 1] == part[0, 0]).all(axis=2))
    return any(np.array_equal(whole[y : y + height, x : x + width], part) for y, x in corners)
