"""A picture in memory: samples, alpha, and the metadata of its file."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from npbsrn.images.directory import Exif
from npbsrn.images.samples import peak_of

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tags:
    """What a file says of its picture.

    Parameters
    ----------
    icc : bytes, optional
        Colour profile of the same kind, grey or RGB, as the samples.
    chunks : tuple of (name, data)
        A PNG's chunks on colour (`npbsrn.images.png.COLOUR`), in their order.
    exif : Exif, optional
        Without orientation, thumbnail and what belongs to a format.
    xmp : bytes, optional
    iptc : bytes, optional
        Records of IPTC's information interchange model.
    texts : tuple of (name, data)
        A PNG's chunks of text, but for those that hold one of the above.
    comment : bytes, optional
        Of a JPEG or GIF.
    dpi : (float, float), optional
        Pixels an inch.
    lossless : bool
        Whether a WebP was lossless.
    """

    icc: bytes | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    exif: Exif | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    texts: tuple[tuple[bytes, bytes], ...] = ()
    comment: bytes | None = None
    dpi: tuple[float, float] | None = None
    lossless: bool = False


@dataclass(frozen=True)
class Picture:
    """Samples of one dtype: uint8, uint16, or float32 in [0, 1].

    Parameters
    ----------
    colour : (H, W) or (H, W, 3)
        Grey or RGB; the colour of a transparent pixel is not multiplied by its alpha.
    alpha : (H, W), optional
    tags : Tags
    """

    colour: Array
    alpha: Array | None = None
    tags: Tags = field(default_factory=Tags)

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.colour.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.colour.shape[1])

    @property
    def grey(self) -> bool:
        """Whether there is one channel instead of three."""
        return self.colour.ndim == 2

    def samples(self) -> Array:
        """Colour and alpha in one array: (H, W) or (H, W, channels)."""
        if self.alpha is None:
            return self.colour
        return np.dstack([self.colour, self.alpha])

    def opaque(self) -> bool:
        """Whether all that alpha says is that every pixel is opaque."""
        return self.alpha is not None and bool(np.all(self.alpha == peak_of(self.alpha.dtype)))

    def partly_transparent(self) -> bool:
        """Whether there are pixels that are neither opaque nor wholly transparent."""
        return self.alpha is not None and bool(np.any((self.alpha > 0) & (self.alpha < peak_of(self.alpha.dtype))))


def split(samples: Array, transparent: tuple[int, ...] = ()) -> Picture:
    """A picture of (H, W) or (H, W, channels): grey, grey and alpha, RGB, or RGB and alpha.

    Parameters
    ----------
    samples : array of uint8, uint16 or float32
    transparent : tuple of int
        The grey or colour that stands for transparent.
    """
    if samples.ndim == 3 and samples.shape[2] in (2, 4):
        colour, alpha = samples[:, :, :-1], samples[:, :, -1]
        return Picture(np.ascontiguousarray(colour if colour.shape[2] == 3 else colour[:, :, 0]), alpha.copy())
    colour = samples[:, :, 0] if samples.ndim == 3 and samples.shape[2] == 1 else samples
    if not transparent:
        return Picture(colour)
    same = (
        colour == np.array(transparent, samples.dtype) if colour.ndim == 3 else (colour == transparent[0])[:, :, None]
    )
    alpha = np.where(np.all(same, axis=2), 0, peak_of(samples.dtype))
    return Picture(colour, alpha.astype(samples.dtype))
