"""Popcount convolutions of tiles of 32 pixels, by the kernel that is chosen.

The inputs stay in registers while the kernel loops over the output channels.
"""

from typing import Any

import numpy as np

from npbsrn.kernels import counting
from npbsrn.kernels.bits import GROUP
from npbsrn.kernels.counting import arrange, make_count, tiles_at_once
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.kernels.jit import inlined, part

Array = np.ndarray[Any, Any]

CHOSEN = chosen_kernel()
AT_ONCE = tiles_at_once(CHOSEN)


def arranged(words: Array, outputs: int, size: int) -> Array:
    """Filters as the chosen kernel reads them: `npbsrn.kernels.counting.arrange`, `filter_size` (O, P * k * k)."""
    return arrange(words, outputs, size, CHOSEN)


OF_ONE, OF_TWO = counting.filter_size(1, 1, CHOSEN), counting.filter_size(2, 1, CHOSEN)  # numbers of 1 and 2 channels


def filter_size(outputs: int, words: int) -> int:
    """Numbers in the filters of so many output channels, of so many words each, as the chosen kernel reads them."""
    return (outputs // 2 * OF_TWO + outputs % 2 * OF_ONE) * words


_filter_size = inlined(filter_size)


# Intrinsics are globals: in a closure they would be part of the key by which Numba keeps a kernel on the disk, and they
# have another one in each process.
_count31, _count32, _count33 = (make_count(3, planes, CHOSEN) for planes in (1, 2, 3))
_count11, _count12, _count13 = (make_count(1, planes, CHOSEN) for planes in (1, 2, 3))


@part()  # not inlined: long code, which each kernel that calls it would be compiled with again
def count3(
    bits: Any, place: int, row: int, plane: int, planes: int, tiles: int, words: Any, first: int, outputs: int, out: Any
) -> None:
    """Counts of a 3x3 convolution at some tiles of 32 pixels, side by side in a row.

    Parameters
    ----------
    bits : array of uint16
        Words of 16 channels, set where an activation is negative; three rows of them, each of `planes`.
    place, row, plane : int
        Of the word above and to the left of the first pixel; from there to the next row and to the next plane.
    planes, tiles : int
    words : array of uint16
        Of the filters, see `arranged`, from `first` on.
    first, outputs : int
    out : (tiles * outputs * 32,) uint16
        Products of -1, by tile, output channel and pixel.
    """
    for p in range(0, planes, GROUP):
        at_bits, at_words, more = place + p * plane, first + _filter_size(outputs, 9 * p), p > 0
        if planes - p == 1:
            _count31(bits, at_bits, row, plane, tiles, words, at_words, outputs, out, more)
        elif planes - p == 2:
            _count32(bits, at_bits, row, plane, tiles, words, at_words, outputs, out, more)
        else:
            _count33(bits, at_bits, row, plane, tiles, words, at_words, outputs, out, more)


@part()
def count1(
    bits: Any, place: int, plane: int, planes: int, tiles: int, words: Any, first: int, outputs: int, out: Any
) -> None:
    """Counts of a 1x1 convolution at some tiles of 32 pixels; see `count3`."""
    for p in range(0, planes, GROUP):
        at_bits, at_words, more = place + p * plane, first + _filter_size(outputs, p), p > 0
        if planes - p == 1:
            _count11(bits, at_bits, 0, plane, tiles, words, at_words, outputs, out, more)
        elif planes - p == 2:
            _count12(bits, at_bits, 0, plane, tiles, words, at_words, outputs, out, more)
        else:
            _count13(bits, at_bits, 0, plane, tiles, words, at_words, outputs, out, more)
