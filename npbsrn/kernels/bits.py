"""Signs as bits: a set bit is -1, and sixteen channels make one word."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BITS = 16  # of a word
TILE = 32  # pixels of a row that are computed together
GROUP = 3  # planes whose words a kernel holds at once: with 3x3 filters 27, and AVX-512 has 32 registers


def planes_of(channels: int) -> int:
    """Words that one pixel's signs take."""
    return -(-channels // BITS)


def pack_channels(negative: Array) -> Array:
    """Words of bits along the first axis.

    Parameters
    ----------
    negative : (C, ...) bool

    Returns
    -------
    words : (P, ...) uint16
        Bit j of plane g for channel ``16 g + j``; bits without a channel are 0.
    """
    planes = planes_of(len(negative))
    whole = np.zeros((planes * BITS, *negative.shape[1:]), np.uint16)
    whole[: len(negative)] = negative
    bit = np.arange(BITS, dtype=np.uint16).reshape(1, BITS, *[1] * (negative.ndim - 1))
    words: Array = np.bitwise_or.reduce(whole.reshape(planes, BITS, *negative.shape[1:]) << bit, axis=1)
    return words


def pack_filters(signs: Array) -> Array:
    """Words of filters in the order in which the kernels read them.

    Parameters
    ----------
    signs : (O, C, k, k), +-1

    Returns
    -------
    words : (O * P * k * k,) uint16
        By groups of `GROUP` planes, the last of which may have less; within a group by output channel, plane and tap.
    """
    words = pack_channels(np.moveaxis(signs < 0, 1, 0)).reshape(-1, len(signs), signs.shape[2] * signs.shape[3])
    groups = [words[first : first + GROUP] for first in range(0, len(words), GROUP)]
    return np.concatenate([group.transpose(1, 0, 2).ravel() for group in groups])


def pad_words(channels: int, negative: bool) -> Array:
    """What stands around a picture: (P,) uint16, 0 for +1, for -1 all bits that have a channel."""
    return pack_channels(np.full(channels, negative))


def pack_picture(negative: Array, width: int, around: bool = False) -> Array:
    """Rows of words with +1 around the picture, or -1.

    Parameters
    ----------
    negative : (C, H, W) bool
    width : int
        At least W + 2.
    around : bool
        Whether what stands around the picture is negative.

    Returns
    -------
    rows : (H + 2, P, width) uint16
    """
    channels, height, inside = negative.shape
    rows = np.empty((height + 2, planes_of(channels), width), np.uint16)
    rows[...] = pad_words(channels, around)[:, None]
    rows[1:-1, :, 1 : inside + 1] = pack_channels(negative).transpose(1, 0, 2)
    return rows


def counts_ref(rows: Array, words: Array, size: int, height: int, width: int) -> Array:
    """How many products of a binary convolution are -1, without a loop over bits.

    A product of two signs is -1 where their bits differ, so a sum of `taps` products is ``taps - 2 * popcount(a ^ b)``.

    Parameters
    ----------
    rows : (H + 2, P, W + 2 or more) uint16
        As `pack_picture` gives them.
    words : (O * P * k * k,) uint16
        As `pack_filters` gives them.
    size : {1, 3}
        k.
    height, width : int

    Returns
    -------
    counts : (O, H, W) uint16
    """
    planes = rows.shape[1]
    outputs = len(words) // (planes * size * size)
    counts = np.zeros((outputs, height, width), np.uint16)
    margin, at = 1 - size // 2, 0
    for first in range(0, planes, GROUP):
        group = range(first, min(first + GROUP, planes))
        own = words[at : at + outputs * len(group) * size * size].reshape(outputs, len(group), size, size)
        at += own.size
        for n, plane in enumerate(group):
            for y in range(size):
                for x in range(size):
                    window = rows[margin + y : margin + y + height, plane, margin + x : margin + x + width]
                    counts += np.bitwise_count(window ^ own[:, n, y, x, None, None])
    return counts
