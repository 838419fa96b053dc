"""Decoded pictures on disk, whose rows are read when they are needed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets.pairs import Pair, read_pair
from npbsrn.errors import DataError, PictureError
from npbsrn.storage.files import atomic_write

Array = np.ndarray[Any, Any]

RECIPE = "2"  # the folder of what is decoded so: another when the same files would give other pixels
AGAIN = "start or resume the run, and the picture is decoded again"


@dataclass(frozen=True)
class Decoded:
    """A picture in a ``.npy`` file, (height, width, 3) uint8.

    Parameters
    ----------
    path : path
    offset : int
        Of the first pixel, in bytes: the file's header is read once, not for every patch.
    height, width : int
    """

    path: Path
    offset: int
    height: int
    width: int

    @classmethod
    def open(cls, path: Path) -> "Decoded":
        """Read the header.

        Raises
        ------
        OSError, ValueError, EOFError
            If the file is missing, damaged, cut, or holds something else.
        """
        picture = np.load(path, mmap_mode="r")
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.flags.c_contiguous:
            raise ValueError(f"{path} holds no picture")
        return cls(path, picture.offset, *picture.shape[:2])

    def rows(self, top: int, count: int) -> Array:
        """Read `count` rows from row `top` on: (count, width, 3) uint8. No file stays open.

        Raises
        ------
        DataError
            If the file has become shorter or is gone.
        """
        rows = np.empty((count, self.width, 3), np.uint8)
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(self.offset + top * self.width * 3)
                read = file.readinto(rows.data)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read ({error.strerror}); {AGAIN}") from None
        if read != rows.size:
            raise DataError(f"{self.path} was cut while it was in use; {AGAIN}")
        return rows


def decoded(pair: Pair, scale: int, folder: Path) -> tuple[Decoded, Decoded]:
    """LR and HR of a pair, decoded into `folder` where they are not there yet.

    The files are named by the content of the pair's files and the scale.

    Raises
    ------
    PictureError
        If a picture cannot be used.
    DataError
        If the cache cannot be written.
    """
    folder = folder / RECIPE
    key = hashlib.blake2b(f"1 {scale} ".encode(), digest_size=16)  # of the files alone: runs know their data by it
    for path in (pair.hr, pair.lr):
        try:
            key.update(path.read_bytes() if path else b"made")
        except OSError as error:
            raise PictureError(f"{path} cannot be read: {error.strerror}; mend or remove it") from None
    lr_path, hr_path = (folder / f"{key.hexdigest()}-{kind}.npy" for kind in ("lr", "hr"))
    try:
        lr, hr = Decoded.open(lr_path), Decoded.open(hr_path)
        if (hr.height, hr.width) == (lr.height * scale, lr.width * scale):
            return lr, hr
    except (OSError, ValueError, EOFError):
        pass
    pictures = read_pair(pair, scale)
    for path, picture in zip((lr_path, hr_path), pictures, strict=True):
        store(path, picture)
    return Decoded.open(lr_path), Decoded.open(hr_path)


def store(path: Path, array: Array) -> None:
    """Write an array into the cache, whole or not at all.

    Raises
    ------
    DataError
        If the cache cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            np.save(file, array)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache {path.parent} ({error.strerror}); name a folder with space by NPBSRN_CACHE"
        ) from None
