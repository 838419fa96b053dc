"""Transparency: the colour under transparent pixels, and the range of enlarged alpha."""

from dataclasses import replace
from typing import Any

import numpy as np

from npbsrn.images.picture import Picture
from npbsrn.images.resize import apply_along, bicubic_matrix
from npbsrn.images.samples import BAND, to_fractions, to_samples

Array = np.ndarray[Any, Any]

SURE = 16  # a pixel's own colour counts in full from an alpha of 1 / SURE on: below, rounding has coarsened it


def fill_colour(colour: Array, alpha: Array) -> Array:
    """Let the colour of opaque pixels flow outwards under transparent ones.

    An enlargement looks at neighbours: an opaque pixel's may be transparent, and what colour they have is chance, often
    black. The filling goes by a pyramid: each level halves the picture, with means weighted by how sure a colour is,
    until no pixel is unsure; on the way back each level fills what the finer one lacks.

    Parameters
    ----------
    colour : (H, W) or (H, W, 3) uint8, uint16, or float32 in [0, 1]
    alpha : (H, W), dtype of `colour`

    Returns
    -------
    filled : shape of `colour`
        `colour` itself where nothing is to be filled; else float32 in [0, 1], as `colour` where alpha is at least
        1 / `SURE`.

    References
    ----------
    S. J. Gortler et al., "The Lumigraph", SIGGRAPH 1996: its pull-push algorithm.
    """
    sure = sureness(alpha)
    if np.all(sure == 1) or not np.any(sure):
        return colour
    return fill_unsure(to_fractions(colour).reshape(*sure.shape, -1), sure).reshape(colour.shape)


def sureness(alpha: Array) -> Array:
    """How sure the colour of a pixel is, from 0 to 1, by its alpha."""
    return np.minimum(to_fractions(alpha) * np.float32(SURE), 1)


def fill_unsure(colour: Array, sure: Array) -> Array:
    """A picture's colours, (H, W, C) float32, filled where they are unsure, (H, W)."""
    if np.all(sure == 1) or sure.size == 1:
        return colour
    return filled_by(fill_unsure(*halved(colour, sure)), colour, sure, 0)


def halved(colour: Array, sure: Array) -> tuple[Array, Array]:
    """The next level of the pyramid: of colours their mean, weighted by how sure they are, and how sure that is.

    Of rows of a picture, which begin with an even one and end with an odd or the last one, it is what comes of them.
    """
    height, width = sure.shape
    even = (0, height % 2), (0, width % 2)
    weights = np.pad(sure, even)[:, :, None]
    values = np.pad(colour, (*even, (0, 0))) * weights
    weight, value = (part.reshape(-(-height // 2), 2, -(-width // 2), 2, -1).sum((1, 3)) for part in (weights, values))
    return value / np.maximum(weight, np.float32(1e-6)), np.minimum(weight[:, :, 0], 1)


def filled_by(coarse: Array, colour: Array, sure: Array, top: int) -> Array:
    """Colours, filled by those of the next level: all rows, or some of which `top` is the first."""
    (height, width), result = sure.shape, coarse
    for axis, (first, last) in enumerate(((top, top + height), (0, width))):
        matrix = bicubic_matrix(coarse.shape[axis], 2 * coarse.shape[axis], 2)
        result = apply_along(matrix[first:last], result, axis)
    finer = np.clip(result, 0, 1)
    return np.where(sure[:, :, None] == 1, colour, finer + (colour - finer) * sure[:, :, None])


def over(picture: Picture, background: tuple[int, int, int]) -> Picture:
    """A picture with alpha, laid over one colour: in its own samples, as browsers and editors do, not in linear light.

    Parameters
    ----------
    picture : Picture
        With alpha; grey stays grey where the background is grey.
    background : (red, green, blue)
        Each 0..255.
    """
    assert picture.alpha is not None
    dtype, under = picture.colour.dtype, np.array(background, np.float32) / np.float32(255)
    grey = picture.grey and len(set(background)) == 1
    colour = picture.colour if grey or not picture.grey else np.repeat(picture.colour[:, :, None], 3, axis=2)
    laid = np.empty(colour.shape, dtype)
    for top in range(0, picture.height, BAND):  # so that no float copy of a large picture is there
        rows = slice(top, top + BAND)
        share = to_fractions(picture.alpha[rows])
        share, base = (share, under[0]) if grey else (share[:, :, None], under)
        laid[rows] = to_samples(base + (to_fractions(colour[rows]) - base) * share, dtype)
    tags = picture.tags if colour is picture.colour else replace(picture.tags, icc=None)  # grey's
    return replace(picture, colour=laid, alpha=None, tags=tags)


def within_neighbours(enlarged: Array, alpha: Array, scale: float, first: int = 0, top: int = 0) -> Array:
    """Keep an enlarged alpha within the range of the 3x3 pixels around, so that what is clear or opaque stays so.

    Parameters
    ----------
    enlarged : (height, width)
    alpha : (H, W), of the same dtype
        All pixels, or the rows that some rows of the result and their neighbours come of.
    scale : float
    first, top : int
        Which row of the whole result, and of the picture, is the first.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    rows, columns = (
        np.minimum((np.arange(large) + begin + 0.5) / scale - before, small - 1).astype(np.intp)
        for large, small, begin, before in zip(enlarged.shape, alpha.shape, (first, 0), (top, 0), strict=True)
    )  # in which pixel of alpha a centre lies

    def spread(extreme: Array) -> Array:
        return extreme[rows][:, columns]

    return np.clip(enlarged, spread(minimum_filter(alpha, 3)), spread(maximum_filter(alpha, 3)))
