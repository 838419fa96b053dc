"""The filters of PNG, by which each byte is written as its difference from bytes beside and above it.

References
----------
W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", section 9.
"""

from typing import Any

import numpy as np

from npbsrn.kernels.jit import kernel, part

Array = np.ndarray[Any, Any]

NONE, SUB, UP, AVERAGE, PAETH = range(5)


@part(forceinline=True)
def _paeth(left: int, above: int, corner: int) -> int:
    """Whichever of three bytes is nearest to left + above - corner; the first of those that are equally near."""
    to_left, to_above = abs(above - corner), abs(left - corner)
    to_corner = abs(left + above - 2 * corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


@kernel()
def unfilter(rows: Array, before: Array, pixel: int, out: Array) -> bool:
    """Bytes of filtered rows.

    Parameters
    ----------
    rows : (R, 1 + B) uint8
        Each begins with its filter.
    before : (B,) uint8
        The row above, unfiltered; zeros above the first.
    pixel : int
        Bytes of a pixel, at least 1.
    out : (R, B) uint8
        Is written.

    Returns
    -------
    known : bool
        False if a filter is none of the five; `out` is then of no use.
    """
    size = len(before)
    for r in range(len(rows)):
        kind, row, line = rows[r, 0], rows[r, 1:], out[r]
        above = before if r == 0 else out[r - 1]
        if kind == NONE:
            line[:] = row
        elif kind == SUB:
            for n in range(size):
                line[n] = row[n] + (line[n - pixel] if n >= pixel else 0)
        elif kind == UP:
            for n in range(size):
                line[n] = row[n] + above[n]
        elif kind == AVERAGE:
            for n in range(size):
                left = np.int64(line[n - pixel]) if n >= pixel else 0
                line[n] = row[n] + (left + np.int64(above[n])) // 2
        elif kind == PAETH:
            for n in range(size):
                left = np.int64(line[n - pixel]) if n >= pixel else 0
                corner = np.int64(above[n - pixel]) if n >= pixel else 0
                line[n] = row[n] + _paeth(left, np.int64(above[n]), corner)
        else:
            return False
    return True


def unfilter_ref(rows: Array, before: Array, pixel: int) -> Array:
    """The same as `unfilter`, byte by byte; of known filters alone."""
    out = np.zeros((len(rows) + 1, pixel + len(before)), np.int64)  # with zeros to the left
    out[0, pixel:] = before
    for r, (kind, *row) in enumerate(rows.tolist(), 1):
        for n, byte in enumerate(row, pixel):
            left, above, corner = out[r, n - pixel], out[r - 1, n], out[r - 1, n - pixel]
            nearest = min((left, above, corner), key=lambda value: abs(left + above - corner - value))
            out[r, n] = (byte + (0, left, above, (left + above) // 2, nearest)[kind]) % 256
    return out[1:, pixel:].astype(np.uint8)


@kernel()
def filtered(rows: Array, before: Array, pixel: int, out: Array) -> None:
    """Filter rows, each by Sub, Up or Paeth: by that whose differences have the smallest sum of magnitudes.

    Parameters
    ----------
    rows : (R, B) uint8
    before : (B,) uint8
        The row above; zeros above the first.
    pixel : int
        Bytes of a pixel.
    out : (R, 1 + B) uint8
        Is written.
    """
    size = len(before)
    for r in range(len(rows)):
        row, above, line = rows[r], before if r == 0 else rows[r - 1], out[r]
        sub, up, paeth = 0, 0, 0
        for n in range(size):
            here, over = np.int64(row[n]), np.int64(above[n])
            left = np.int64(row[n - pixel]) if n >= pixel else 0
            corner = np.int64(above[n - pixel]) if n >= pixel else 0
            nearest = np.uint8(here - _paeth(left, over, corner))
            line[1 + n] = nearest
            paeth += abs(np.int64(np.int8(nearest)))
            sub += abs(np.int64(np.int8(here - left)))
            up += abs(np.int64(np.int8(here - over)))
        line[0] = PAETH
        if sub <= up and sub < paeth:
            line[0] = SUB
            for n in range(size):
                line[1 + n] = row[n] - (row[n - pixel] if n >= pixel else 0)
        elif up < paeth:
            line[0] = UP
            for n in range(size):
                line[1 + n] = row[n] - above[n]


def filtered_ref(rows: Array, before: Array, pixel: int) -> Array:
    """The same as `filtered`, for whole rows."""
    padded = np.zeros((len(rows) + 1, pixel + len(before)), np.int64)
    padded[0, pixel:], padded[1:, pixel:] = before, rows
    here, above = padded[1:, pixel:], padded[:-1, pixel:]
    left, corner = padded[1:, :-pixel], padded[:-1, :-pixel]
    beside = np.stack([left, above, corner])
    order = np.argmin(np.abs(left + above - corner - beside), axis=0)
    nearest = np.take_along_axis(beside, order[None], 0)[0]
    choices = [(here - guess).astype(np.uint8) for guess in (nearest, left, above)]
    sums = [np.abs(choice.view(np.int8).astype(np.int64)).sum(axis=1) for choice in choices]
    best = np.argmin(sums, axis=0)
    kinds = np.array([PAETH, SUB, UP], np.uint8)[best]
    return np.column_stack([kinds, np.stack(choices)[best, np.arange(len(rows))]])
