"""Plan a folder of pictures to enlarge: where each result is written, without losing any file."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from npbsrn.datasets.pairs import pictures_in
from npbsrn.errors import UsageError
from npbsrn.images.formats import FORMATS, OPENED

# Pictures of kinds that Pillow does not read, or not without a plug-in.
OTHERS = {
    ".heic", ".heif", ".jxl", ".exr", ".hdr", ".pfm",
    ".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf",
}  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """What is to be done in a folder.

    Parameters
    ----------
    jobs : list of (source, target)
        Pictures to enlarge.
    existing : list of path
        Targets that are there already, and are left alone.
    others : list of path
        What may be missed in the result: pictures of other kinds, links to folders, broken links.
    """

    jobs: list[tuple[Path, Path]]
    existing: list[Path]
    others: list[Path]


def plan(source: Path, target: Path, overwrite: bool) -> Batch:
    """Pair the pictures below a folder with the files to write.

    Parameters
    ----------
    source, target : path
        Folders; each picture's place below `target` is that below `source`.
    overwrite : bool
        Whether targets that exist are written again.

    Raises
    ------
    UsageError
        If `target` is no folder, or a target would be one of the pictures, lie among them, or be written twice.
    DataError
        If there is no picture.
    """
    if target.suffix.lower() in FORMATS or target.is_file():
        raise UsageError(f"{source} is a folder, so -o must name a folder too, not {target}")
    if _real(target).is_relative_to(_real(source)):
        raise UsageError(f"-o must not be {source} or lie in it; write to another folder, so that the originals stay")
    pictures = pictures_in(source)
    jobs = [(picture, target / picture.relative_to(source)) for picture in pictures]
    _refuse_collisions(source, jobs)
    existing = [] if overwrite else [result for _, result in jobs if os.path.lexists(result)]
    kept = set(existing)
    return Batch([job for job in jobs if job[1] not in kept], existing, _others(source))


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # which, unlike Path.resolve, goes on where links run in a circle


def _refuse_collisions(source: Path, jobs: Iterable[tuple[Path, Path]]) -> None:
    """Look at files themselves: links lead to them by other names."""
    originals = {_real(picture): picture for picture, _ in jobs}
    by_inode = {(at.st_dev, at.st_ino): picture for picture in originals for at in [picture.stat()] if at.st_ino}
    written: dict[Path, Path] = {}
    folder = _real(source)
    for picture, target in jobs:
        real = _real(target)
        at = real.stat() if real.exists() else None
        lost = originals.get(real) or (by_inode.get((at.st_dev, at.st_ino)) if at else None)
        if lost:
            raise UsageError(f"{target}, the result of {picture}, would replace the original {lost}; name another -o")
        if real.is_relative_to(folder):
            raise UsageError(f"{target} would lie among the originals, in {source}; name another -o")
        if real in written:
            raise UsageError(f"{picture} and {written[real]} would both be written to {real}; enlarge one by itself")
        written[real] = picture


def _others(folder: Path) -> list[Path]:
    """What may be missed: pictures of kinds that are not taken from folders, links to folders, and broken links."""
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in OPENED} | OTHERS

    def is_other(path: Path) -> bool:
        if path.suffix.lower() in FORMATS and not path.is_dir():
            return not path.is_file()
        return path.suffix.lower() in known if path.is_file() else path.is_symlink()

    found = (path for path in folder.rglob("*") if is_other(path))
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
