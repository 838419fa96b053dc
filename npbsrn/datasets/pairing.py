"""Pair HR and LR pictures by the names of their files."""

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from npbsrn.datasets.names import folder_name, stem_name
from npbsrn.datasets.sizes import refuse_small_copies
from npbsrn.datasets.tree import Item, Parts, Tree, has_counterpart
from npbsrn.errors import DataError

MEND = "name the folder of the high-resolution ones, or the one that holds both, or rename it"


@dataclass(frozen=True)
class Pair:
    """A high-resolution picture and its low-resolution partner, or None if the partner must be made."""

    name: str
    hr: Path
    lr: Path | None = None


def pair_up(top: Path, files: Sequence[Path], scale: int, split: str | None) -> list[Pair]:
    """Pair the picture files below `top`.

    Parameters
    ----------
    top : path
    files : list of path
    scale : int
    split : {"train", "valid", None}
        Which half is taken where names of HR folders speak of halves; None takes all.

    Returns
    -------
    pairs : list of Pair, sorted by the HR file
        Named by their place in the folder that holds all HR pictures.

    Raises
    ------
    DataError
        If LR pictures have no HR ones, HR pictures lack some of their partners, or more than one way is left.
    """
    tree = Tree(top, files)
    items = _of_half(top, _without_strangers(tree, [tree.item(path) for path in files]), split)
    groups: dict[Parts, list[Item]] = defaultdict(list)
    for item in items:
        groups[item.place.key].append(item)
    found = [match for group in groups.values() for match in _pairs_of(group, scale)]
    if not found:
        raise DataError(f"{top} holds pairs, but none for x{scale}")
    marked = any(item.marked for item, _ in found)
    if not marked:
        _refuse_low(top)
    _refuse_gaps(found)
    base = Path(os.path.commonpath([item.path.parent for item, _ in found])) if marked else top
    pairs = [Pair(item.path.relative_to(base).as_posix(), item.path, lr) for item, lr in found]
    refuse_small_copies([pair.hr for pair in pairs if pair.lr is None])
    return sorted(pairs, key=lambda pair: pair.hr)


def _refuse_low(folder: Path) -> None:
    """Refuse a folder that is LR by its own name, such as ``LRbicx4``, ``LR_bicubic/X4``, or ``x4`` beside ``HR``."""
    here = Path(os.path.abspath(folder))
    only_scales = True  # so far, from the folder upwards
    for place in (here, *list(here.parents)[:2]):
        own = folder_name(place.name)
        if own.role or own.bare:
            both = has_counterpart(own, (folder_name(path.name) for path in siblings(place)))
            if both or (own.strong and only_scales):
                if own.role == "HR":
                    return
                raise DataError(f"{folder} holds low-resolution pictures by its name; {MEND}")
        only_scales = only_scales and own.bare


def _refuse_gaps(found: list[tuple[Item, Path | None]]) -> None:
    """Refuse an HR folder of which only some subfolders have partners."""
    paired = {item.place.root: lr for item, lr in found if lr}
    for item, lr in found:
        if lr is None and item.place.root in paired:
            raise DataError(
                f"{item.path.parent} has no partners of its scale, but other pictures there have, such as "
                f"{paired[item.place.root]}; add the partners, or remove the others to have them made"
            )


def siblings(folder: Path) -> list[Path]:
    """The folders beside a folder, hidden ones left out; none where they cannot be read."""
    try:
        return [path for path in folder.parent.iterdir() if path != folder and path.name[0] != "." and path.is_dir()]
    except OSError:
        return []


def _without_strangers(tree: Tree, items: list[Item]) -> list[Item]:
    """Leave out pictures without a role that lie beside a folder of HR pictures: they may be anything."""
    strange = [item.path for item in items if tree.is_stranger(item)]
    if strange:
        warnings.warn(
            f"{len(strange)} pictures beside high-resolution ones in {tree.top} are left out, "
            f"{strange[0].relative_to(tree.top)} for one; name their folder to take them",
            stacklevel=4,
        )
    apart = set(strange)
    return [item for item in items if item.path not in apart]


def _of_half(top: Path, items: list[Item], split: str | None) -> list[Item]:
    """Of data that is split into halves by the names of folders, keep the half that is asked for."""
    highs = [item for item in items if item.role == "HR"]
    halves = {half for item in highs if (half := item.place.name.half)}
    if split is None or not halves:
        return items
    wanted = "test" if split == "valid" and "valid" not in halves else split
    if all(item.place.name.half not in (None, wanted) for item in highs):
        raise DataError(
            f"{top} holds another half of its data, but no {split} half; name {highs[0].path.parent} to take that one"
        )
    return [item for item in items if item.place.name.half in (None, wanted)]


def _pairs_of(group: list[Item], scale: int) -> list[tuple[Item, Path | None]]:
    """Pair the pictures of one data set; none where all are of other scales."""
    highs = [item for item in group if item.role == "HR"]
    lows = [item for item in group if item.role == "LR"]
    if not highs:
        raise DataError(
            f"{lows[0].path} is a low-resolution picture by its name or folder, but there are no high-resolution ones "
            f"to it; {MEND}"
        )
    if not any(item.marked for item in group):
        _refuse_lr_names(highs)
    highs = _best_folder(
        [high for high in highs if high.scale in (None, scale)], lambda item: item.place.rank_hr(scale)
    )
    lows = _best_folder([low for low in lows if low.scale in (None, scale)], lambda item: item.place.rank_lr())
    return _match(highs, lows) if highs and lows else [(item, None) for item in highs]


def _refuse_lr_names(items: list[Item]) -> None:
    """Refuse a folder in which all names end like ``0001x4``: LR pictures that have lost their folder's name."""
    stems = [stem_name(item.path.stem) for item in items]
    if len({stem.scale for stem in stems}) == 1 and all(stem.clear for stem in stems):
        raise DataError(
            f"all names in {items[0].path.parent} end in x{stems[0].scale}, as those of low-resolution pictures do; "
            "name the folder of the high-resolution ones, or rename the files"
        )


def _best_folder(items: list[Item], rank: Callable[[Item], Any]) -> list[Item]:
    """The items of the folder that ranks lowest."""
    lowest = min(map(rank, items), default=None)
    best = [item for item in items if rank(item) == lowest]
    folders = sorted({item.path.parent for item in best})
    if len(folders) > 1:
        raise DataError(f"{folders[0]} and {folders[1]} hold pictures of one data set; name one of them, or rename it")
    return best


def _match(highs: list[Item], lows: list[Item]) -> list[tuple[Item, Path | None]]:
    """Find for each HR picture the LR picture of its name: of the same one, else but for role, scale, and then case.

    Raises
    ------
    DataError
        If partners are missing, or are not one to one.
    """
    indices: list[dict[str, set[Path]]] = [defaultdict(set), defaultdict(set)]  # by exact names, and by folded ones
    for low in lows:
        for name in {low.path.stem, low.rest}:
            indices[0][name].add(low.path)
            indices[1][name.casefold()].add(low.path)
    found: list[tuple[Item, Path]] = []
    missing = []
    for high in highs:
        exact, folded = indices
        tries = (exact.get(high.path.stem), exact.get(high.rest), folded.get(high.rest.casefold()))
        partners = sorted(next((those for those in tries if those), ()))
        if len(partners) > 1:
            raise DataError(f"{high.path} has two partners, {partners[0]} and {partners[1]}; remove or rename one")
        if partners:
            found.append((high, partners[0]))
        else:
            missing.append(high)
    place, low_place = highs[0].path.parent, lows[0].path.parent
    if missing:
        raise DataError(
            f"{len(missing)} of {len(highs)} pictures in {place} have no partner in {low_place}, "
            f"{missing[0].path.name} for one; add the partners, or remove the others to have them made"
        )
    twice, count = Counter(partner for _, partner in found).most_common(1)[0]
    if count > 1:
        both = [high.path.name for high, partner in found if partner == twice]
        raise DataError(f"{twice} is the partner of both {both[0]} and {both[1]} in {place}; remove or rename one")
    return [*found]
