"""Which files of a folder are pictures to enlarge."""

import os
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from npbsrn.errors import DataError
from npbsrn.images.formats import HEIF, OPENED, WRITTEN, is_read
from npbsrn.images.opening import HEIF_CURE
from npbsrn.images.reading import is_ours
from npbsrn.storage.remote import Place

# Pictures of kinds that Pillow does not read, or not without a plug-in.
OTHERS = {
    ".heic", ".heif", ".hif", ".avif", ".jxl", ".exr", ".hdr", ".pfm", ".svg",
    ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf",
}  # fmt: skip


def found_in(inputs: Sequence[Path], flat: bool, out: Path | None) -> tuple[dict[Path, Path], list[Path], set[Path]]:
    """The pictures of what is named.

    Where `out`, the folder for results, lies in a folder that is named, so may those of other runs: `out` is left out,
    and within that folder's own folders whatever says that npbsrn made it.

    Returns
    -------
    found : dict of path to path
        Pictures, and their places below the folder that was named; or names, where they were.
    others : list of path
        What may be missed in the result: what is not taken from folders, and what lies in `out` and is no result.
    results : set of path
        What is left out, as other runs made it.
    """
    found: dict[Path, Path] = {}
    others: list[Path] = []
    results: set[Path] = set()
    for given in inputs:
        if not given.is_dir():
            found.setdefault(given, Path(given.name))
            continue
        inside = lies_in(out, given)
        pictures, left = pictures_below(given, flat, out if inside else None)
        ours = {path for path in pictures if path.parent != given and is_ours(path)} if inside else set()
        for path in pictures:
            if path not in ours:
                found.setdefault(path, path.relative_to(given))
        others += left
        results |= ours
        if inside and out is not None and out.is_dir() and not flat:
            others += [path for path in pictures_below(out)[0] if not is_ours(path)]
    return found, others, results - found.keys()


def pictures_below(folder: Path, flat: bool = False, without: Path | None = None) -> tuple[list[Path], list[Path]]:
    """The pictures of a folder and of those below it, and what of them may be missed; both sorted.

    The folder `without`, and those below it, are left out.

    Raises
    ------
    DataError
        If the folder cannot be read.
    """

    def say(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise DataError(f"the folder {folder} cannot be read ({error.strerror}); check its permissions")
        warnings.warn(f"the folder {error.filename} cannot be read ({error.strerror}): left out", stacklevel=4)

    known = known_suffixes()
    taken: list[Path] = []
    others: list[Path] = []
    apart = None if without is None else real_path(without)
    for place, folders, names in os.walk(folder, onerror=say):
        kept = (name for name in folders if not name.startswith("."))
        folders[:] = sorted(name for name in kept if apart is None or real_path(Path(place, name)) != apart)
        others += [path for name in folders if (path := Path(place, name)).is_symlink()]
        if flat:
            folders.clear()
        for name in names:
            path = Path(place, name)
            if name.startswith(".") or (path.suffix.lower() not in known and not is_read(path.suffix)):
                continue
            (taken if os.path.isfile(path) and is_read(path.suffix) else others).append(path)
    return sorted(taken), sorted(others)


def known_suffixes() -> set[str]:
    """Of all pictures, those too that are not read here."""
    return {suffix for suffix, name in Image.registered_extensions().items() if name in OPENED} | OTHERS | {*WRITTEN}


def heif_cure(others: Iterable[Place]) -> str:
    """What to say of HEIC pictures among those that are left out; nothing if there are none."""
    return f"; of HEIC pictures, {HEIF_CURE}" if any(path.suffix.lower() in HEIF for path in others) else ""


def lies_in(path: Path | None, folder: Path) -> bool:
    """Whether a path lies in a folder, or is it, whatever links lead there."""
    return path is not None and real_path(path).is_relative_to(real_path(folder))


def real_path(path: Path) -> Path:
    """A path without links."""
    return Path(os.path.realpath(path))  # which, unlike Path.resolve, goes on where links run in a circle
