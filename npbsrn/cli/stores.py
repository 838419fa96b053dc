"""Plan what to enlarge where a folder of pictures, or the one for results, is a URL; see `npbsrn.cli.batch`."""

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from npbsrn.cli.batch import Batch, Wish
from npbsrn.cli.finding import heif_cure, known_suffixes, pictures_below
from npbsrn.errors import DataError, UsageError
from npbsrn.images.formats import is_read
from npbsrn.storage.remote import Place, Url, check_store, files_below, is_file, place_of, store_and_name


def has_url(names: Sequence[str | None]) -> bool:
    """Whether one of the places that are named is a URL."""
    return any(isinstance(place_of(name), Url) for name in names if name)


def plan_stores(inputs: Sequence[str], output: str | None, wish: Wish) -> Batch[Place]:
    """Pair the pictures of one folder with the files to write into another one; one of them, or both, are URLs.

    Raises
    ------
    UsageError
        If there are other inputs than one folder, or no folder apart for the results, or a URL cannot be reached.
    DataError
        If there is no picture.
    """
    if len(inputs) != 1 or output is None:
        raise UsageError("with URLs, name one folder of pictures, and by -o another one for the results")
    source, target = place_of(inputs[0]), place_of(output)
    _refuse_overlap(source, target)
    for place in (source, target):
        if isinstance(place, Url):
            check_store(place)
    taken, others = _pictures(source, wish.flat)
    if not taken and isinstance(source, Url) and is_file(source):
        raise DataError(f"{source} is a file; with URLs, name the folder that it is in")
    if not taken:
        raise DataError(f"there is no picture in {source}; name another folder{heif_cure(others)}")
    jobs, clashes = [], []
    first: dict[PurePosixPath, Place] = {}  # by the place of a result, the picture that it is of
    for below in taken:
        picture = source / below
        result = below.parent / wish.name(picture, apart=True)
        if first.setdefault(result, picture) == picture:
            jobs.append((picture, target / result))
        else:
            clashes.append(
                f"{picture} would be written to {target / result}, as {first[result]} is; move it to another folder"
            )
    there = set() if wish.overwrite else _existing(target, [result for _, result in jobs])
    return Batch(
        [job for job in jobs if job[1] not in there],
        [result for _, result in jobs if result in there], others, [], clashes, False, target,
    )  # fmt: skip


def _pictures(folder: Place, flat: bool) -> tuple[list[PurePosixPath], list[Place]]:
    """The pictures of a folder, as places in it, and what may be missed of it; see `pictures_below`."""
    if isinstance(folder, Path):
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; with URLs, name one folder of pictures")
        found, left = pictures_below(folder, flat)
        return [PurePosixPath(path.relative_to(folder).as_posix()) for path in found], [*left]
    known = known_suffixes()
    taken, others = [], list[Place]()
    for below in map(PurePosixPath, files_below(folder)):
        if any(part.startswith(".") for part in below.parts) or (flat and len(below.parts) > 1):
            continue
        if is_read(below.suffix):
            taken.append(below)
        elif below.suffix.lower() in known:
            others.append(folder / below)
    return taken, others


def _existing(folder: Place, results: Sequence[Place]) -> set[Place]:
    """Those of some results that are there; of a URL, by one listing."""
    if isinstance(folder, Path):
        return {result for result in results if os.path.lexists(str(result))}
    names = {folder / name for name in files_below(folder)}
    return {result for result in results if result in names}


def _refuse_overlap(source: Place, target: Place) -> None:
    """Refuse a folder for results in that of the pictures, where they would be pictures of the next run."""
    (kind, name), (other, below) = store_and_name(source), store_and_name(target)
    if kind == other and (below == name or below.startswith(name.rstrip("/") + "/")):
        raise UsageError(f"-o must not be {source} or lie in it; write to another folder")
