"""A picture that is read by rows, as the format of a file that is written by rows can hold it."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import numpy as np

from npbsrn.images.alpha import over, sureness
from npbsrn.images.fitting import Target, fitted, format_for, refuse_sides
from npbsrn.images.picture import Picture
from npbsrn.images.samples import cast, peak_of
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import Rows
from npbsrn.images.strips.opening import pieces_of


class FittedRows:
    """Rows of a picture as `npbsrn.images.fitting.fitted` gives the whole; see `npbsrn.images.strips.base.Rows`.

    Parameters
    ----------
    rows : Rows
    name : object
        What messages call the picture.
    target : path, optional
    scale : float
    saving : Saving

    Raises
    ------
    PictureError
        As `fitted`; and if there is alpha, which is looked at as a whole first, and the file is damaged.
    """

    def __init__(self, rows: Rows, name: object, target: Target, scale: float, saving: Saving) -> None:
        self.rows, self.name, self.target, self.saving = rows, name, target, saving
        self.width, self.height, self.piece_bytes = rows.width, rows.height, rows.piece_bytes
        self.form = format_for(target, saving)
        refuse_sides(target, self.form, self.width, self.height, scale)
        sample = rows.sample
        if sample.alpha is not None and self.alpha_range != (peak_of(sample.alpha.dtype),) * 2:
            sample = replace(sample, alpha=np.zeros_like(sample.alpha))  # so that it is refused where it must be
        elif sample.alpha is not None:
            sample = replace(sample, alpha=np.full_like(sample.alpha, peak_of(sample.alpha.dtype)))
        self.flattened = sample.alpha is not None and not self.form.alpha and not sample.opaque()
        self.sample = self._fitted(sample)

    @cached_property
    def alpha_range(self) -> tuple[float, float]:
        """The least and the largest alpha of all pixels, as it is read."""
        ends = [(piece.alpha.min(), piece.alpha.max()) for piece in self._read() if piece.alpha is not None]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @property
    def varies(self) -> bool:
        """Whether there is alpha, and not everywhere the same."""
        return self.sample.alpha is not None and bool(np.ptp(self._fitted_range()))

    @property
    def is_filled(self) -> bool:
        """Whether colour flows under transparent pixels."""
        if self.sample.alpha is None:
            return False
        low, high = sureness(self._fitted_range())
        return bool(low < 1 and high > 0)

    def _fitted_range(self) -> np.ndarray:
        ends = np.array(self.alpha_range, self.rows.sample.colour.dtype)
        return cast(ends, self.sample.colour.dtype)

    def _read(self) -> Iterator[Picture]:
        return pieces_of(self.rows, self.name)

    def pieces(self) -> Iterator[Picture]:
        """All rows."""
        for piece in self._read():
            yield replace(self._fitted(replace(piece, tags=self.rows.sample.tags)), tags=self.sample.tags)

    def _fitted(self, piece: Picture) -> Picture:
        if piece.alpha is not None and not self.form.alpha:
            if not self.flattened:
                piece = replace(piece, alpha=None)
            elif self.saving.background is not None:
                piece = over(piece, self.saving.background)
        return fitted(piece, self.target, 1, self.saving, by_rows=True)
