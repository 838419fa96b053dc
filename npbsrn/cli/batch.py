"""Plan what to enlarge: which pictures are taken, and where each result is written, without losing any file."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from npbsrn.cli.finding import found_in, heif_cure, lies_in, real_path
from npbsrn.datasets.results import RESULT
from npbsrn.errors import DataError, ExistsError, PictureError, UsageError
from npbsrn.images.formats import WRITTEN, is_read, is_written, target_suffix
from npbsrn.images.reading import is_ours
from npbsrn.storage.files import short_name
from npbsrn.storage.remote import Place

Where = TypeVar("Where")  # a path; or, over Dask, a URL as well


@dataclass(frozen=True)
class Batch(Generic[Where]):
    """What is to be done.

    Parameters
    ----------
    jobs : list of (source, target)
        Pictures to enlarge.
    existing : list of path
        Targets that are there already, and are left alone.
    others : list of path
        What may be missed in the result: pictures of other kinds, links to folders, broken links.
    results : list of path
        Pictures that are left out, as they are results of others beside them.
    clashes : list of str
        What is said of pictures that are left out, as another one's result has the same name.
    single : bool
        Whether one picture is named, and no folder.
    folder : path, optional
        The folder for all results, which need not be there.
    """

    jobs: list[tuple[Where, Where]]
    existing: list[Where]
    others: list[Where]
    results: list[Where] = field(default_factory=list)
    clashes: list[str] = field(default_factory=list)
    single: bool = False
    folder: Where | None = None


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Parameters
    ----------
    inputs : sequence of path
        Pictures and folders.
    output : str, optional
        A file, or a folder, which need not be there. By default each result lies beside its original.
    label : str
        What a result beside its original has behind its stem, such as "-x4".
    suffix : str, optional
        What every result has there instead; without it, results in a folder of their own keep the originals' names.
    form : str, optional
        Suffix of the results' format, such as ".png"; by default the originals' own, or ".png" where such files are
        not written.
    flat : bool
        Whether folders within folders are left out.
    overwrite, skip_existing : bool
        What is to be done with targets that exist. By default they are left alone, too, but if a single picture is
        named, its existing target is an error.
    """

    inputs: Sequence[Path]
    output: str | None = None
    label: str = "-x4"
    suffix: str | None = None
    form: str | None = None
    flat: bool = False
    overwrite: bool = False
    skip_existing: bool = False

    @property
    def single(self) -> bool:
        """Whether one picture is named, and no folder."""
        return len(self.inputs) == 1 and not self.inputs[0].is_dir()

    @property
    def file(self) -> Path | None:
        """The one file to write, if that is what `output` names."""
        if self.output is None or not self.single or self.output.endswith(("/", os.sep)):
            return None
        path = Path(self.output)
        return path if path.suffix and not path.is_dir() else None

    @property
    def folder(self) -> Path | None:
        """The folder to write to, if `output` names one."""
        return None if self.output is None or self.file else Path(self.output)

    def target(self, source: Path, below: Path) -> Path:
        """Where the result of a picture goes, which lies at `below` in its folder."""
        if self.file:
            return self.file
        place = self.folder / below.parent if self.folder else source.parent
        return place / self.name(source, apart=bool(self.folder))

    def name(self, source: Place, apart: bool) -> str:
        """What the result of a picture is called, beside it or in a folder apart."""
        default = "" if apart else self.label
        ending = (default if self.suffix is None else self.suffix) + (self.form or target_suffix(source.suffix))
        return short_name(source.stem, ending)


def plan(wish: Wish) -> Batch[Path]:
    """Pair pictures with the files to write.

    Of folders, hidden files and folders are left out, and so are links to folders. A picture is also left out if it
    is a result of another one: if it lies beside it, with the same name but for the suffix of this run,
    or ``-x4`` with any number. So a folder may be given again; of one that the output lies in, see `found_in`. A
    picture that is named alone is always taken. Of pictures whose results would be one file, the first is enlarged.

    Raises
    ------
    UsageError
        If the output is of the wrong kind, or a target would be one of the pictures, lie among those of a folder, or
        replace a picture that is named as a result but does not say that npbsrn made it.
    ExistsError
        If the target of a single picture exists.
    DataError, PictureError
        If there is no picture.
    """
    folders = [path for path in wish.inputs if path.is_dir()]
    _refuse_mismatch(wish, folders)
    found, others, results = found_in(wish.inputs, wish.flat, wish.folder)
    if not found and not results:
        raise DataError(
            f"there is no picture in {', '.join(map(str, wish.inputs))}; name pictures, or other folders"
            f"{heif_cure(others)}"
        )
    jobs = _unique([(source, wish.target(source, below)) for source, below in found.items()])
    results |= set() if wish.single else _results(jobs)
    jobs = [job for job in jobs if job[0] not in results]
    _refuse_losses(jobs, folders, wish.folder)
    if wish.overwrite:
        _refuse_foreign(jobs, results, [folder for folder in folders if lies_in(wish.folder, folder)])
    jobs, clashes = _without_clashes(jobs)
    existing = [] if wish.overwrite else [result for _, result in jobs if os.path.lexists(result)]
    if existing and wish.single and not wish.skip_existing:
        raise ExistsError(existing[0])
    kept, targets = set(existing), {target for _, target in jobs}
    return Batch(
        [job for job in jobs if job[1] not in kept],
        existing, [path for path in others if path not in targets], sorted(results), clashes, wish.single, wish.folder,
    )  # fmt: skip


def _refuse_mismatch(wish: Wish, folders: Sequence[Path]) -> None:
    """Refuse a single picture that is missing, and an output of another kind than what is named."""
    if wish.single and not wish.inputs[0].exists():
        raise PictureError(f"there is no file {wish.inputs[0]}; name a picture or a folder of pictures")
    if wish.file and not wish.form and not is_written(wish.file.suffix):
        known = ", ".join(suffix for suffix in WRITTEN if is_written(suffix))
        raise UsageError(
            f"cannot write {wish.file}: choose a suffix among {known}; or end it with / for a folder, {wish.file}/"
        )
    if wish.folder is None:
        return
    what = f"{folders[0]} is a folder" if folders else "there are several pictures"
    if not wish.single and (wish.folder.suffix.lower() in WRITTEN or wish.folder.is_file()):
        raise UsageError(f"{what}, so -o must name a folder too, not {wish.folder}")
    for source in folders:
        if real_path(wish.folder) == real_path(source):
            raise UsageError(f"-o must not be {source} itself; leave it out, or write to another folder")


def _unique(jobs: Iterable[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """The jobs, without those of a picture that is named twice."""
    first: dict[tuple[Path, Path], tuple[Path, Path]] = {}
    for source, target in jobs:
        first.setdefault((real_path(source), real_path(target.parent) / target.name), (source, target))
    return list(first.values())


def _results(jobs: Iterable[tuple[Path, Path]]) -> set[Path]:
    """Those pictures that are results of others beside them, by this run's names or those of any scale."""
    targets = {real_path(target.parent) / target.name for source, target in jobs if target.parent == source.parent}
    stems: dict[Path, set[str]] = {}  # of the pictures of a folder

    def is_result(source: Path) -> bool:
        named = RESULT.fullmatch(source.stem)
        if named and source.parent not in stems:
            files = source.parent.iterdir() if source.parent.is_dir() else ()
            stems[source.parent] = {path.stem for path in files if is_read(path.suffix)}
        by_name = named is not None and named[1] in stems[source.parent]
        return by_name or real_path(source.parent) / source.name in targets

    return {source for source, _ in jobs if is_result(source)}


def _refuse_foreign(jobs: Iterable[tuple[Path, Path]], results: Iterable[Path], around: Sequence[Path]) -> None:
    """Refuse to replace what may be an original.

    Of the pictures of a call, only those are replaced that are results: a name such as a-x4.jpg may be chance. So it is
    with what lies in the output's folder, where that is one within the folders `around`.
    """
    taken = {real_path(result) for result in results}
    for picture, target in jobs:
        if (around and os.path.lexists(target)) or real_path(target) in taken:
            if is_ours(target):
                continue
            raise UsageError(
                f"{target}, the result of {picture}, would replace a picture that does not say that npbsrn made it; "
                "move or rename that one, or give another -o or --suffix"
            )


def _without_clashes(jobs: Iterable[tuple[Path, Path]]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """The jobs without those whose results would be another one's file, and what is said of these."""
    kept: dict[Path, tuple[Path, Path]] = {}
    clashes = []
    for picture, target in jobs:
        first, _ = kept.setdefault(real_path(target), (picture, target))
        if first != picture:
            clashes.append(
                f"{picture} would be written to {target}, as {first} is; give it alone, with another -o or --suffix"
            )
    return list(kept.values()), clashes


def _refuse_losses(jobs: Iterable[tuple[Path, Path]], folders: Sequence[Path], out: Path | None) -> None:
    """Refuse targets that are originals, or lie among those of `folders`.

    Where `out`, the folder for results, lies within one of them, results lie in `out`. Files themselves are looked at:
    links lead to them by other names.
    """
    originals = {real_path(picture): picture for picture, _ in jobs}
    there = (picture for picture in originals if picture.exists())
    by_inode = {(at.st_dev, at.st_ino): picture for picture in there for at in [picture.stat()] if at.st_ino}
    for picture, target in jobs:
        real = real_path(target)
        at = real.stat() if real.exists() else None
        lost = originals.get(real) or (by_inode.get((at.st_dev, at.st_ino)) if at else None)
        if lost and real_path(picture) == real_path(lost):
            raise UsageError(f"{target} is the input itself; write to another file, so that the original stays")
        if lost:
            raise UsageError(f"{target}, the result of {picture}, would replace the original {lost}; name another -o")
        for folder in folders:
            if out and lies_in(target, folder) and not (lies_in(out, folder) and lies_in(target, out)):
                raise UsageError(f"{target} would lie among the originals, in {folder}; name another -o")
