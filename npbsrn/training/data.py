"""Random patches for training."""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets.pairs import Pair
from npbsrn.errors import DataError, PictureError
from npbsrn.storage.caches import cache_folder
from npbsrn.training.cache import Decoded, decoded
from npbsrn.training.degrade import degraded_patch
from npbsrn.training.places import Places, cached_errors
from npbsrn.training.sieve import TRAINING, Sieve, listing

Array = np.ndarray[Any, Any]

VALUES = np.arange(256, dtype=np.float32) / np.float32(255)  # of 8-bit pixels, in [0, 1]


class PatchSource:
    """Random pairs of patches from pairs of pictures.

    Parameters
    ----------
    pairs : list of Pair
    scale : int
    patch : int
        Side of the largest patch in LR pixels; smaller pictures cannot be used.
    cache : path, optional
        Folder of the decoded pictures (see `cache_folder`). Entries are named by the content of the files and the
        scale, so that a changed file is noticed and runs can share one folder.
    progress : callable, optional
        Called behind each picture.
    sieve : Sieve, optional
        Knows afterwards what cannot be used, and why; without one, a warning says it.
    holdout : int
        How many pictures are kept apart in `held`, evenly spread, but at most a tenth. They are chosen among those that
        can be used: whoever removes the others changes nothing.
    keep : float
        Share of the places in all pictures that patches are drawn from: those where bicubic enlargement errs most.
        With 1 every place of every picture can be drawn.
    flat_patches : int
        How many patches of a batch are one flat colour, which a network must leave flat.
    degrade : bool
        Whether LR patches are blurred, noisy and compressed; see `npbsrn.training.degrade.degrade`.

    Raises
    ------
    DataError
        If no picture can be used, or the cache cannot be written.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        scale: int,
        patch: int,
        cache: str | PathLike[str] | None = None,
        progress: Callable[[], object] | None = None,
        sieve: Sieve | None = None,
        holdout: int = 0,
        keep: float = 1.0,
        flat_patches: int = 0,
        degrade: bool = False,
    ) -> None:
        self.scale, self.flat_patches, self.degrade = scale, flat_patches, degrade
        folder, given = Path(cache) if cache else cache_folder(), sieve
        sieve = sieve or Sieve()
        side = f"a patch of {patch * scale}x{patch * scale} pixels"

        def read(pair: Pair) -> tuple[Decoded, Decoded]:
            try:
                lr, hr = decoded(pair, scale, folder)
                if min(lr.height, lr.width) < patch:
                    raise PictureError(f"{pair.hr} is smaller than {side}")
                if keep < 1:
                    cached_errors(lr, hr, scale, patch)  # now, as progress is shown meanwhile
            finally:
                if progress:
                    progress()
            return lr, hr

        usable = list(sieve.read(TRAINING, pairs, read))
        if not usable:
            reasons = list(sieve.reasons[TRAINING].values())
            if all(reason.endswith(side) for reason in reasons):
                raise DataError(f"no picture is as large as {side}; give larger pictures or a smaller patch")
            raise DataError(f"no picture can be used: {listing(reasons)}; give others")
        if given is None and (left_out := sieve.summary()):
            warnings.warn(left_out, stacklevel=2)
        count = min(holdout, len(usable) // 10)
        apart = {round((n + 0.5) * len(usable) / count) for n in range(count)}
        self.held = [usable[i] for i in sorted(apart)]
        self.entries = [entry for i, (_, entry) in enumerate(usable) if i not in apart]
        names = " ".join(lr.path.name for lr, _ in self.entries)  # which hold the digests of the pictures
        self.digest = hashlib.blake2b(names.encode(), digest_size=16).hexdigest()
        areas = np.array([lr.height * lr.width for lr, _ in self.entries], np.float64)
        self.shares = areas / areas.sum()
        self.places = Places(self.entries, scale, patch, keep) if keep < 1 else None

    def batch(
        self, seed: int, step: int, size: int, patch: int, part: tuple[int, int] | None = None
    ) -> tuple[Array, Array]:
        """The patches of one step: a pure function of its arguments and the pictures.

        A picture is drawn in proportion to its area, a place in it uniformly (or both together, from the places that
        are kept), and one of the eight rotations and mirrorings. Colours and degradations have a generator of their
        own: with or without them, the same places are drawn.

        Of a batch that is divided, `part` is what is wanted: its first patch, and behind the last.

        Returns
        -------
        x : (size of the part, 3, patch, patch) float32, in [0, 1]
        y : (size of the part, 3, patch * scale, patch * scale) float32, in [0, 1]
        """
        rng, more = np.random.default_rng((seed, step)), np.random.default_rng((seed, step, 1))
        p, s, (first, last) = patch, self.scale, part or (0, size)
        lows = np.empty((size, 3, p, p), np.uint8)
        highs = np.empty((size, 3, p * s, p * s), np.uint8)
        for n, (index, top, left) in enumerate(self._places(rng, size, p)):
            lr, hr = self.entries[index]
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            if not (first <= n < last or self.degrade):  # whose generator goes on with each patch
                continue
            low = self._low(lr, top, left, p, more)
            high = hr.rows(top * s, p * s)[:, left * s : (left + p) * s]
            lows[n], highs[n] = _turn(low, turns, mirror), _turn(high, turns, mirror)
        colours = more.integers(256, size=(self.flat_patches, 3, 1, 1))
        lows[: self.flat_patches], highs[: self.flat_patches] = colours, colours
        return VALUES[lows[first:last]], VALUES[highs[first:last]]

    def _low(self, lr: Decoded, top: int, left: int, patch: int, rng: np.random.Generator) -> Array:
        """A patch of an LR picture, (patch, patch, 3) uint8."""
        if self.degrade:
            return degraded_patch(lr, top, left, patch, rng)
        return lr.rows(top, patch)[:, left : left + patch]

    def _places(self, rng: np.random.Generator, size: int, patch: int) -> Iterator[tuple[int, int, int]]:
        """Index of the picture, top and left of each patch, drawn when it is its turn."""
        if self.places is not None:
            for _ in range(size):
                yield self.places.draw(rng, patch)
            return
        for index in rng.choice(len(self.entries), size, p=self.shares):
            lr, _ = self.entries[index]
            yield int(index), int(rng.integers(lr.height - patch + 1)), int(rng.integers(lr.width - patch + 1))


def _turn(picture: Array, turns: int, mirror: bool) -> Array:
    """Rotate by `turns` times 90 degrees against the clock, then mirror: (H, W, 3) to a view (3, H, W)."""
    planes = picture.transpose(2, 0, 1)
    if turns % 2:
        planes = planes.transpose(0, 2, 1)
    down, right = (turns in (1, 2)), (turns in (2, 3)) != mirror
    return planes[:, :: -1 if down else 1, :: -1 if right else 1]
