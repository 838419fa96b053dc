"""What reads pictures, and what writes them, some rows at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, Protocol

import numpy as np

from npbsrn.images.picture import Picture, Tags

Array = np.ndarray[Any, Any]

PIECE = 1 << 22  # bytes of samples that are decoded at once, about
PLANE = 1 << 20  # bytes of samples that are compressed at once: what is written depends on it


class Rows(Protocol):
    """A picture that is read by rows."""

    @property
    def width(self) -> int:
        """Columns."""
        ...

    @property
    def height(self) -> int:
        """Rows."""
        ...

    @property
    def sample(self) -> Picture:
        """Some pixels with the kind of samples, and the tags, that all have."""
        ...

    @property
    def piece_bytes(self) -> int:
        """Bytes of the samples that are decoded at once, at most; 0 where they are about `PIECE`."""
        ...

    def pieces(self) -> Iterator[Picture]:
        """All rows, from the top, a few or many at a time; as often as wanted.

        Raises
        ------
        PictureError
            If the file is damaged, once what is damaged is reached.
        """
        ...


@dataclass(frozen=True)
class Whole:
    """A picture that is in memory as a whole."""

    sample: Picture

    @property
    def width(self) -> int:
        """Columns."""
        return self.sample.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.sample.height

    @property
    def piece_bytes(self) -> int:
        """Nothing is decoded."""
        return 0

    def pieces(self) -> Iterator[Picture]:
        """The picture."""
        yield self.sample


class Window:
    """Rows of a picture that is read from the top, of which those that are still looked at are kept."""

    def __init__(self, pieces: Iterator[Picture]) -> None:
        self._pieces, self._kept, self._read = pieces, list[tuple[int, Picture]](), 0

    def rows(self, begin: int, end: int) -> Picture:
        """Rows of the picture; `begin` must not fall from call to call, and rows before it are forgotten."""
        self._kept = [(top, piece) for top, piece in self._kept if top + piece.height > begin]
        while self._read < end:
            piece = next(self._pieces)
            if self._read + piece.height > begin:
                self._kept.append((self._read, piece))
            self._read += piece.height
        parts = [_cut(piece, max(begin - top, 0), end - top) for top, piece in self._kept if top < end]
        if len(parts) == 1:
            return parts[0]
        alpha = [part.alpha for part in parts if part.alpha is not None]
        colour = np.concatenate([part.colour for part in parts])
        return replace(parts[0], colour=colour, alpha=np.concatenate(alpha) if alpha else None)


def _cut(piece: Picture, begin: int, end: int) -> Picture:
    """Rows of a piece, without a copy."""
    alpha = None if piece.alpha is None else piece.alpha[begin:end]
    return replace(piece, colour=piece.colour[begin:end], alpha=alpha)


@dataclass(frozen=True)
class Page:
    """What is known of a picture before its first row is written.

    Parameters
    ----------
    width, height, channels : int
        With alpha among the channels, and last.
    alpha : bool
    dtype : dtype
    tags : Tags
        Without what is to be left out.
    """

    width: int
    height: int
    channels: int
    alpha: bool
    dtype: Any
    tags: Tags

    @property
    def size(self) -> int:
        """Bytes of all samples."""
        return self.width * self.height * self.channels * np.dtype(self.dtype).itemsize


class Writer(Protocol):
    """A file that is written from the top to the bottom."""

    def write(self, samples: Array) -> None:
        """Add rows: (R, W) or (R, W, channels)."""
        ...

    def close(self) -> None:
        """Complete the file, behind the last row."""
        ...


class Stacked:
    """Collects rows until there are as many as are to be coded at once.

    Parameters
    ----------
    count : int
        Rows.
    """

    def __init__(self, count: int) -> None:
        self.count, self._left = count, list[Array]()

    def take(self, samples: Array) -> list[Array]:
        """Add rows; returns all blocks of `count` rows, which may share the memory of `samples`."""
        blocks, have = [], sum(map(len, self._left))
        if have:
            lacking = min(self.count - have, len(samples))
            self._left.append(samples[:lacking].copy())
            samples = samples[lacking:]
            if have + lacking == self.count:
                blocks += self.rest()
        full = len(samples) // self.count * self.count
        if full < len(samples):
            self._left.append(samples[full:].copy())
        return blocks + [samples[top : top + self.count] for top in range(0, full, self.count)]

    def rest(self) -> list[Array]:
        """What is left, in one block; none if there is nothing."""
        left, self._left = self._left, []
        return [np.concatenate(left)] if left else []


def shorter(picture: Picture, rows: int) -> Picture:
    """The first rows of a picture."""
    return _cut(picture, 0, rows)


def write_all(file: BinaryIO, *parts: bytes) -> int:
    """Write some bytes; returns how many."""
    return sum(file.write(part) for part in parts)
