"""Random patches for training."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets.pairs import Pair
from npbsrn.errors import DataError, PictureError
from npbsrn.training.cache import Decoded, decoded, default_cache
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
        Folder of the decoded pictures (see `default_cache`). Entries are named by the content of the files and the
        scale, so that a changed file is noticed and runs can share one folder.
    progress : callable, optional
        Called behind each picture.
    sieve : Sieve, optional
        Knows afterwards what cannot be used, and why; without one, a warning says it.
    holdout : int
        How many pictures are kept apart in `held`, evenly spread, but at most a tenth. They are chosen among those that
        can be used: whoever removes the others changes nothing.

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
    ) -> None:
        self.scale = scale
        folder, given = Path(cache) if cache else default_cache(), sieve
        sieve = sieve or Sieve()
        side = f"a patch of {patch * scale}x{patch * scale} pixels"

        def read(pair: Pair) -> tuple[Decoded, Decoded]:
            try:
                lr, hr = decoded(pair, scale, folder)
            finally:
                if progress:
                    progress()
            if min(lr.height, lr.width) < patch:
                raise PictureError(f"{pair.hr} is smaller than {side}")
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

    def batch(self, seed: int, step: int, size: int, patch: int) -> tuple[Array, Array]:
        """The patches of one step: a pure function of its arguments and the pictures.

        A picture is drawn in proportion to its area, a place in it uniformly, and one of the eight rotations and
        mirrorings.

        Returns
        -------
        x : (size, 3, patch, patch) float32, in [0, 1]
        y : (size, 3, patch * scale, patch * scale) float32, in [0, 1]
        """
        rng = np.random.default_rng((seed, step))
        p, s = patch, self.scale
        lows = np.empty((size, 3, p, p), np.uint8)
        highs = np.empty((size, 3, p * s, p * s), np.uint8)
        for n, index in enumerate(rng.choice(len(self.entries), size, p=self.shares)):
            lr, hr = self.entries[index]
            top, left = rng.integers(lr.height - p + 1), rng.integers(lr.width - p + 1)
            turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
            low = lr.rows(top, p)[:, left : left + p]
            high = hr.rows(top * s, p * s)[:, left * s : (left + p) * s]
            lows[n], highs[n] = _turn(low, turns, mirror), _turn(high, turns, mirror)
        return VALUES[lows], VALUES[highs]


def _turn(picture: Array, turns: int, mirror: bool) -> Array:
    """Rotate by `turns` times 90 degrees against the clock, then mirror: (H, W, 3) to a view (3, H, W)."""
    planes = picture.transpose(2, 0, 1)
    if turns % 2:
        planes = planes.transpose(0, 2, 1)
    down, right = (turns in (1, 2)), (turns in (2, 3)) != mirror
    return planes[:, :: -1 if down else 1, :: -1 if right else 1]
