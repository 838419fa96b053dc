"""Cut a picture into tiles, each with a margin as wide as a network's reach."""

from collections.abc import Iterator
from typing import NamedTuple

Span = tuple[int, int]  # from, to


class Tile(NamedTuple):
    """A part of a picture.

    Parameters
    ----------
    rows, columns : (from, to)
        What is wanted of it.
    outer_rows, outer_columns : (from, to)
        What is looked at for that: wider by the margin, where the picture goes on.
    """

    rows: Span
    columns: Span
    outer_rows: Span
    outer_columns: Span

    @property
    def area(self) -> int:
        """Pixels that are wanted."""
        (a, b), (c, d) = self.rows, self.columns
        return (b - a) * (d - c)

    @property
    def outer(self) -> tuple[slice, slice]:
        """Of an array, what is looked at."""
        return slice(*self.outer_rows), slice(*self.outer_columns)

    @property
    def inner(self) -> tuple[Span, Span]:
        """Rows and columns that are wanted, counted from the first that is looked at."""
        (a, b), (c, d) = self.rows, self.columns
        top, left = self.outer_rows[0], self.outer_columns[0]
        return (a - top, b - top), (c - left, d - left)

    def enlarged(self, scale: int, top: int = 0) -> tuple[slice, slice]:
        """Of an enlarged array, what is wanted; the array begins with what comes of row `top`."""
        (a, b), (c, d) = self.rows, self.columns
        return slice((a - top) * scale, (b - top) * scale), slice(c * scale, d * scale)


def cut(height: int, width: int, side: int, margin: int, step: int = 1, wanted: Span | None = None) -> Iterator[Tile]:
    """Tiles of a picture, row by row.

    Parameters
    ----------
    height, width : int
        Of the picture.
    side : int
        Of a tile, without its margin.
    margin : int
    step : int
        What a tile looks at begins at multiples of it: pixels that are computed together lie in a tile as in the
        picture.
    wanted : (from, to), optional
        Rows that are wanted; by default all.
    """

    def spans(extent: int, first: int, last: int) -> Iterator[tuple[Span, Span]]:
        for begin in range(first, last, side):
            end = min(begin + side, last)
            yield (begin, end), (max(begin - margin, 0) // step * step, min(end + margin, extent))

    for rows, outer_rows in spans(height, *(wanted or (0, height))):
        for columns, outer_columns in spans(width, 0, width):
            yield Tile(rows, columns, outer_rows, outer_columns)
