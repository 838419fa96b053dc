"""Pictures of at most 256 colours, as GIF has them."""

from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray[Any, Any]

MOST = 255  # colours of a palette, beside transparent


def to_palette(colour: Array, clear: Array) -> tuple[Image.Image, int]:
    """A palette image of the 255 colours that fit best, dithered unless they are all.

    Parameters
    ----------
    colour : (H, W, 3) uint8
    clear : (H, W) bool
        Pixels that are transparent, whose colour does not count.

    Returns
    -------
    image : Pillow image of mode P
    transparent : int
        The place in its palette, behind all colours, that stands for transparent.
    """
    image = Image.fromarray(np.where(clear[:, :, None], _any_of(colour, clear), colour))
    own = image.quantize(MOST, Image.Quantize.MEDIANCUT)
    if image.getcolors(MOST) is None:
        own = image.quantize(palette=own, dither=Image.Dither.FLOYDSTEINBERG)
    indices = np.asarray(own)
    transparent = int(indices.max()) + 1
    palette = (own.getpalette("RGB") or [])[: 3 * transparent]
    result = Image.fromarray(np.where(clear, transparent, indices).astype(np.uint8), "P")
    result.putpalette(palette + [0] * (3 * transparent + 3 - len(palette)))
    return result, transparent


def _any_of(colour: Array, clear: Array) -> Array:
    """A colour that is there anyway."""
    visible = np.flatnonzero(~clear)
    return colour.reshape(-1, 3)[visible[0]] if len(visible) else np.zeros(3, np.uint8)
