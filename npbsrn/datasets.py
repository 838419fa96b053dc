"""Folders of pictures: which layouts are understood, and how a pair of pictures is read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from npbsrn.errors import DataError, PictureError, UsageError
from npbsrn.images.formats import FORMATS
from npbsrn.images.reading import read_rgb
from npbsrn.resize import resize

Array = np.ndarray[Any, Any]

SRF = re.compile(r"(?P<stem>.+)_SRF_(?P<scale>\d+)_(?P<kind>HR|LR)$")


@dataclass(frozen=True)
class Pair:
    """A high-resolution picture and its low-resolution partner, or None where it is to be made."""

    name: str
    hr: Path
    lr: Path | None = None


def find_pairs(folder: str | PathLike[str], scale: int, split: str = "train") -> list[Pair]:
    """Find the pictures of a folder in any of the usual layouts.

    - DIV2K as it is unpacked (``DIV2K_train_HR/0001.png``, ``DIV2K_train_LR_bicubic/X4/0001x4.png``), given the
      parent folder or the HR folder;
    - ``HR/`` beside ``LR/``, ``LR_bicubic/X4/`` or ``x4/``, with equal stems, suffix ``x4`` or not;
    - ``img_001_SRF_4_HR.png`` beside ``img_001_SRF_4_LR.png``;
    - any other folder, flat or nested: all its pictures are HR.

    Parameters
    ----------
    folder : path
    scale : int
    split : {"train", "valid"}
        Which half of DIV2K, given its parent folder.

    Returns
    -------
    pairs : list of Pair, sorted by name

    Raises
    ------
    DataError
        If the folder is missing or without pictures, or HR pictures lack their LR partners.
    """
    if not isinstance(folder, str | PathLike):
        raise UsageError(f"a folder is named by a path, not by {folder!r}")
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name one that holds pictures")
    div2k = folder / f"DIV2K_{split}_HR"
    if div2k.is_dir():
        folder = div2k
    elif (folder / "DIV2K_valid_HR").is_dir() or (folder / "DIV2K_train_HR").is_dir():
        raise DataError(f"{folder} holds another half of DIV2K, but not DIV2K_{split}_HR")
    if match := re.fullmatch(r"DIV2K_(\w+)_HR", folder.name):
        candidates = [folder.parent / f"DIV2K_{match[1]}_LR_bicubic" / f"X{scale}"]
        return _partners(folder, candidates, scale)
    if (folder / "HR").is_dir():
        names = ("LR", "LR_bicubic", "")
        subs = (f"X{scale}", f"x{scale}")
        candidates = [folder / name / sub for name in names for sub in subs] + [folder / "LR"]
        return _partners(folder / "HR", candidates, scale)
    files = pictures_in(folder)
    if any(SRF.match(path.stem) for path in files):
        return _srf_pairs(folder, files, scale)
    return [Pair(path.relative_to(folder).as_posix(), path) for path in files]


def pictures_in(folder: Path) -> list[Path]:
    """All picture files below a folder, hidden ones left out, sorted; at least one.

    Raises
    ------
    DataError
        If there is none.
    """
    files = _pictures_below(folder)
    if not files:
        kinds = ", ".join(suffix[1:] for suffix in FORMATS)
        raise DataError(f"there is no picture in {folder}; known kinds are {kinds}")
    return files


def _pictures_below(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.suffix.lower() in FORMATS and not path.name.startswith("."))
    return sorted(path for path in files if path.is_file())


def _partners(hr_folder: Path, candidates: Iterable[Path], scale: int) -> list[Pair]:
    """Pair HR files with the LR files of the first candidate folder that exists and holds pictures."""
    files = pictures_in(hr_folder)
    lr_folder = next((c for c in candidates if c.is_dir() and any(_pictures_below(c))), None)
    if lr_folder is None:
        return [Pair(path.relative_to(hr_folder).as_posix(), path) for path in files]
    by_place = {}
    for path in _pictures_below(lr_folder):
        place = path.relative_to(lr_folder).with_suffix("")
        by_place[place] = by_place[place.with_name(place.name.removesuffix(f"x{scale}"))] = path
    found = []
    for path in files:
        place = path.relative_to(hr_folder)
        found.append(Pair(place.as_posix(), path, by_place.get(place.with_suffix(""))))
    missing = [pair.name for pair in found if pair.lr is None]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(found)} pictures in {hr_folder} have no partner in {lr_folder}, {missing[0]} for "
            f"one; add the partners, or remove {lr_folder} to have them made"
        )
    return found


def _srf_pairs(folder: Path, files: list[Path], scale: int) -> list[Pair]:
    lows: dict[tuple[Path, str], Path] = {}
    highs: dict[tuple[Path, str], Path] = {}
    for path in files:
        match = SRF.match(path.stem)
        if match and int(match["scale"]) == scale:
            (highs if match["kind"] == "HR" else lows)[path.parent, match["stem"]] = path
    if not highs:
        raise DataError(f"{folder} holds pairs, but none for x{scale}")
    return [Pair(path.relative_to(folder).as_posix(), path, lows.get(key)) for key, path in highs.items()]


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
