"""Patches for training: decoded once into a cache, then read from memory-mapped files."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets import Pair, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.files import atomic_write

Array = np.ndarray[Any, Any]

RECIPE = 1  # raise it when the same files would give other pixels


def default_cache() -> Path:
    """``$NPBSRN_CACHE``, or ``npbsrn`` in the user's cache folder."""
    if folder := os.environ.get("NPBSRN_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "npbsrn"


class PatchSource:
    """Random pairs of patches from pairs of pictures.

    Parameters
    ----------
    pairs : list of Pair
    scale : int
    patch : int
        Side of the largest patch in LR pixels; smaller pictures are left out, with a warning.
    cache : path, optional
        Folder of the decoded pictures (see `default_cache`). Entries are named by the content of the files and the
        scale, so that a changed file is noticed and runs can share one folder.
    progress : callable, optional
        Called behind each picture.

    Raises
    ------
    DataError
        If no picture is as large as a patch, or the cache cannot be written.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        scale: int,
        patch: int,
        cache: str | PathLike[str] | None = None,
        progress: Callable[[], object] | None = None,
    ) -> None:
        self.scale = scale
        folder = Path(cache) if cache else default_cache()
        entries = []
        for pair in pairs:
            entries.append(_cached(pair, scale, folder))
            if progress:
                progress()
        sizes = [np.load(lr, mmap_mode="r").shape[:2] for lr, _ in entries]
        large = [i for i, size in enumerate(sizes) if min(size) >= patch]
        if not large:
            raise DataError(
                f"no picture is as large as a patch of {patch * scale}x{patch * scale} pixels; "
                "give larger pictures or a smaller patch"
            )
        if len(large) < len(sizes):
            warnings.warn(f"{len(sizes) - len(large)} pictures are smaller than a patch: left out", stacklevel=2)
        self.entries = [entries[i] for i in large]
        names = " ".join(lr.name for lr, _ in self.entries)  # which hold the digests of the pictures
        self.digest = hashlib.blake2b(names.encode(), digest_size=16).hexdigest()
        areas = np.array([np.prod(sizes[i]) for i in large], np.float64)
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
        lows = np.empty((size, 3, p, p), np.float32)
        highs = np.empty((size, 3, p * s, p * s), np.float32)
        for n, index in enumerate(rng.choice(len(self.entries), size, p=self.shares)):
            lr, hr = (np.load(path, mmap_mode="r") for path in self.entries[index])
            top, left = rng.integers(lr.shape[0] - p + 1), rng.integers(lr.shape[1] - p + 1)
            turns, mirror = int(rng.integers(4)), rng.integers(2)
            low = lr[top : top + p, left : left + p]
            high = hr[top * s : (top + p) * s, left * s : (left + p) * s]
            for target, picture in ((lows, low), (highs, high)):
                turned = np.rot90(picture, turns)
                target[n] = (turned[:, ::-1] if mirror else turned).transpose(2, 0, 1)
        return lows / np.float32(255), highs / np.float32(255)


def _cached(pair: Pair, scale: int, folder: Path) -> tuple[Path, Path]:
    """The decoded LR and HR of a pair as .npy files, made where they are missing."""
    key = hashlib.blake2b(f"{RECIPE} {scale} ".encode(), digest_size=16)
    for path in (pair.hr, pair.lr):
        try:
            key.update(path.read_bytes() if path else b"made")
        except OSError as error:
            raise PictureError(f"{path} cannot be read: {error.strerror}; mend or remove it") from None
    lr_path, hr_path = (folder / f"{key.hexdigest()}-{kind}.npy" for kind in ("lr", "hr"))
    if not _fits(lr_path, hr_path, scale):
        lr, hr = read_pair(pair, scale)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path, picture in ((lr_path, lr), (hr_path, hr)):
                with atomic_write(path) as file:
                    np.save(file, picture)
        except OSError as error:
            raise DataError(
                f"cannot write to the cache {folder} ({error.strerror}); name a folder with space by NPBSRN_CACHE"
            ) from None
    return lr_path, hr_path


def _fits(lr_path: Path, hr_path: Path, scale: int) -> bool:
    """Whether both files are there, whole, and of fitting sizes."""
    try:
        lr, hr = (np.load(path, mmap_mode="r") for path in (lr_path, hr_path))
    except (OSError, ValueError, EOFError):
        return False
    return bool(hr.shape == (lr.shape[0] * scale, lr.shape[1] * scale, 3))
