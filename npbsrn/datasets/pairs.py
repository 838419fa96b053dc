"""Folders of pictures: which layouts are supported, and how a pair of pictures is read."""

import os
import warnings
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.datasets.names import folder_name
from npbsrn.datasets.pairing import Pair as Pair
from npbsrn.datasets.pairing import pair_up, siblings
from npbsrn.datasets.results import without_results
from npbsrn.errors import DataError, PictureError, UsageError
from npbsrn.images.formats import DATA_FORMATS
from npbsrn.images.reading import read_rgb
from npbsrn.images.resize import resize
from npbsrn.storage.run_files import is_run

Array = np.ndarray[Any, Any]


def find_pairs(folder: str | PathLike[str], scale: int, split: str = "train") -> list[Pair]:
    """Find the pictures of a folder, and their LR partners, if any.

    The names of folders and files (ignoring case) tell HR from LR, and the scale:

    - ``HR``, ``GT`` or ``GTmod12`` beside ``LR``, ``LQ``, ``LR_bicubic/X4``, ``LRbicx4``, ``lr_x4``, ``x4``;
      ``train_HR`` beside ``train_LR``; ``X4/GT`` beside ``X4/LR``; ``HR/Set5/x4`` and ``LR/Set5/x4``;
    - beside their counterparts, ``original``, ``target``, ``high`` are HR, ``input``, ``low``, ``bicubic``, ``x4`` LR;
    - DIV2K as it is unpacked (``DIV2K_train_HR/0001.png``, ``DIV2K_train_LR_bicubic/X4/0001x4.png``), given the
      parent folder or the HR folder; likewise any ``NAME_HR``. Given the parent folder, `split` chooses a half;
    - in one folder, ``img_001_SRF_4_HR.png`` beside ``img_001_SRF_4_LR.png``, ``baby_HR.png`` beside ``baby_LR.png``,
      ``0001.png`` beside ``0001x4.png``;
    - any other folder, flat or nested: all its pictures are HR. An HR folder that is named itself is one of these.

    A folder may hold several such data sets. Partners have one name, but for suffix, case, role and scale: ``baby.png``
    and ``babyx4.png``, ``baby_HR_x4.png`` and ``baby_LRBI_x4.png``. Of several HR folders ``GTmod12`` is taken before
    ``HR``, and both before ``original``; of LR folders one that names the scale, and a bicubic one, first. Where there
    is no LR picture of the scale, LR is made. What has no role beside an HR folder is left out with a warning.
    Hidden files and folders are left out, and so are the folders of training runs, unless they are named, and results
    of `npbsrn upscale` that lie beside their originals.

    Parameters
    ----------
    folder : path
    scale : int
    split : {"train", "valid"}
        Which half of data that is split by the names of its HR folders, as DIV2K is.

    Returns
    -------
    pairs : list of Pair, sorted by the HR file

    Raises
    ------
    DataError
        If the folder is missing or without pictures, holds LR pictures without HR ones, HR pictures lack some of their
        partners, or have more than one; or if a folder holds the pictures of another made small, whatever its name.
    """
    if not isinstance(folder, str | PathLike):
        raise UsageError(f"a folder is named by a path, not by {folder!r}")
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name one that holds pictures")
    if folder.name in ("", ".."):
        folder = Path(os.path.abspath(folder))  # its name says something, too
    files = without_results(_pictures_below(folder, data=True))
    if not files:
        raise _none_in(folder)
    if lows := _lr_beside(folder):
        beside = [path for low in lows for path in _pictures_below(low, data=True)]
        return pair_up(folder.parent, [*files, *beside], scale, None)
    return pair_up(folder, files, scale, split)


def holds_valid_half(folder: Path) -> bool:
    """Whether a folder holds HR validation pictures in a folder of their own, such as ``DIV2K_valid_HR``."""
    names = (folder_name(path.name) for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return any(name.role == "HR" and name.strong and name.half == "valid" for name in names)


def pictures_in(folder: Path) -> list[Path]:
    """All picture files below a folder, hidden files and folders left out, sorted; at least one.

    Raises
    ------
    DataError
        If there is none.
    """
    files = _pictures_below(folder)
    if not files:
        raise _none_in(folder)
    return files


def _none_in(folder: Path) -> DataError:
    kinds = ", ".join(suffix[1:] for suffix in DATA_FORMATS)
    return DataError(f"there is no picture in {folder}; known kinds are {kinds}")


def _pictures_below(folder: Path, data: bool = False) -> list[Path]:
    """Picture files below a folder, sorted.

    As `data`, links to folders are followed, as data sets are often linked, and what training runs have left below
    the folder is left out.
    """

    def say(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise DataError(f"the folder {folder} cannot be read ({error.strerror}); check its permissions")
        warnings.warn(f"the folder {error.filename} cannot be read ({error.strerror}): left out", stacklevel=4)

    found: list[Path] = []
    been = set()
    for place, folders, names in os.walk(folder, onerror=say, followlinks=data):
        here, real = Path(place), os.path.realpath(place)
        if real in been or (data and here != folder and is_run(names)):
            folders.clear()
            continue
        been.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        suitable = (name for name in names if not name.startswith(".") and Path(name).suffix.lower() in DATA_FORMATS)
        found += [path for name in suitable if (path := here / name).is_file()]
    return sorted(found)


def _lr_beside(folder: Path) -> list[Path]:
    """The LR folders that belong to a folder with a name like ``DIV2K_train_HR``; none for a plain ``HR``."""
    own = folder_name(folder.name)
    if own.role != "HR" or not own.strong or not own.rest:
        return []
    named = ((path, folder_name(path.name)) for path in siblings(folder))
    return sorted(path for path, name in named if name.role == "LR" and name.strong and name.rest == own.rest)


def read_pair(pair: Pair, scale: int) -> tuple[Array, Array]:
    """Read a pair; where there is no LR picture, make it by antialiased bicubic.

    Returns
    -------
    lr : (h, w, 3) uint8
    hr : (h * scale, w * scale, 3) uint8, cropped from the bottom and right

    Raises
    ------
    PictureError
        If a file is damaged, the HR picture is smaller than `scale`, or the two sizes do not fit.
    """
    hr = read_rgb(pair.hr)
    h, w = hr.shape[0] // scale, hr.shape[1] // scale
    if h == 0 or w == 0:
        raise PictureError(f"{pair.hr} has {hr.shape[1]}x{hr.shape[0]} pixels, too few for x{scale}; remove it")
    hr = np.ascontiguousarray(hr[: h * scale, : w * scale])
    if pair.lr is None:
        return resize(hr, 1 / scale), hr
    lr = read_rgb(pair.lr)
    if lr.shape != (h, w, 3):
        raise PictureError(
            f"{pair.lr} has {lr.shape[1]}x{lr.shape[0]} pixels, but {pair.hr} needs {w}x{h} at x{scale}; "
            "give the partner of the right scale"
        )
    return lr, hr
