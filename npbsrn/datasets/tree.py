"""What all names on the path to a picture say about it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from npbsrn.datasets.names import FolderName, folder_name, stem_name
from npbsrn.datasets.sizes import may_be_reduced

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A folder of pictures.

    Parameters
    ----------
    role : {"HR", "LR", None}
    name : FolderName
        Of the folder on the way that decided the role.
    scale : int or None
    key : tuple of str
        What is left of the names: HR and LR of one data set have it in common.
    root : tuple of str
        The way to the folder that decided the role.
    """

    role: str | None
    name: FolderName
    scale: int | None
    key: Parts
    root: Parts

    def rank_hr(self, scale: int) -> tuple[bool, int]:
        """Of several HR folders the lowest is taken: LR pictures are made from ``GTmod12``, not from ``original``."""
        kind = (0 if self.name.mod % scale == 0 else 3) if self.name.mod else 1 if self.name.strong else 2
        return self.scale not in (None, scale), kind

    def rank_lr(self) -> tuple[bool, int]:
        """Of several LR folders the lowest is taken: those that name their scale, and bicubic ones, first."""
        return self.scale is None, ("bicubic", None, "other").index(self.name.how)


@dataclass(frozen=True)
class Item:
    """A picture file.

    Parameters
    ----------
    path : path
    role : {"HR", "LR"}
    place : Place
    scale : int or None
        Of an LR picture; of an HR one only where the file's own name has it.
    marked : bool
        Whether a name says that it is HR or LR.
    rest : str
        The file's stem without the words for role and scale.
    """

    path: Path
    role: str
    place: Place
    scale: int | None
    marked: bool
    rest: str


class Tree:
    """The folders below `top` that lead to `files`."""

    def __init__(self, top: Path, files: Sequence[Path]) -> None:
        self.top = top
        self.names: dict[Parts, dict[str, FolderName]] = defaultdict(dict)  # of the folders in each folder
        self.stems: dict[Parts, dict[str, Path]] = defaultdict(dict)  # of the files in each folder, case folded
        for path in files:
            parts = self.way_to(path)
            self.stems[parts][path.stem.casefold()] = path
            for depth, part in enumerate(parts):
                if part not in self.names[parts[:depth]]:
                    self.names[parts[:depth]][part] = folder_name(part)
        self.roles = {above: {part: self._role(above, part) for part in self.names[above]} for above in self.names}
        self.places = {parts: self._place(parts) for parts in self.stems}

    def way_to(self, path: Path) -> Parts:
        """The folders between `top` and a file."""
        return path.relative_to(self.top).parts[:-1]

    def _role(self, above: Parts, part: str) -> str | None:
        """Role of a folder, by its own name or beside its counterpart."""
        own = self.names[above][part]
        if own.strong or not (own.role or own.bare):
            return own.role
        siblings = (name for other, name in self.names[above].items() if other != part)
        if has_counterpart(own, siblings):
            return own.role or "LR"
        inside, beside = self.stems.get((*above, part), {}), self.stems.get(above, {})
        low = own.role != "HR" and any(stem_name(stem).rest in beside or stem in beside for stem in inside)
        return "LR" if low and self._all_reduced(inside, beside) else None

    def _all_reduced(self, inside: dict[str, Path], beside: dict[str, Path]) -> bool:
        partners = ((path, beside.get(stem) or beside.get(stem_name(stem).rest)) for stem, path in inside.items())
        return all(high is None or may_be_reduced(low, high) for low, high in partners)

    def has(self, role: str, above: Parts) -> bool:
        """Whether a folder of this role lies in a folder."""
        return role in self.roles.get(above, {}).values()

    def is_stranger(self, item: Item) -> bool:
        """Whether a picture without a role lies beside a folder of HR pictures, or in a folder that does."""
        if item.marked:
            return False
        parts = self.way_to(item.path)
        return any(self.has("HR", parts[:depth]) for depth in range(len(parts) + 1))

    def _place(self, parts: Parts) -> Place:
        role, deciding, scale, root = None, FolderName(), None, parts
        key: list[str] = []
        for depth, part in enumerate(parts):
            own, found = self.names[parts[:depth]][part], self.roles[parts[:depth]][part]
            scale = own.scale or scale
            if found:
                role, root = found, parts[: depth + 1]
                deciding = own if own.role else deciding
                key += own.rest
            elif not own.bare:
                key.append(part)
        return Place(role, deciding, scale, tuple(key), root) if role else Place(None, deciding, None, parts, parts)

    def item(self, path: Path) -> Item:
        """What all names on the way to a file, and its own, say."""
        parts = self.way_to(path)
        place, stem = self.places[parts], stem_name(path.stem)
        role, by_stem = place.role or "HR", False
        if place.role != "LR":
            full = self.stems[parts].get(stem.rest.casefold()) if stem.scale else None
            if stem.role:
                role, by_stem = stem.role, True
            elif full and stem.scale and may_be_reduced(path, full, (stem.scale,)):
                role, by_stem = "LR", True
        scale = stem.scale if role == "LR" or stem.role else None
        if role == "LR":
            scale = scale or place.scale
        marked = place.role is not None or by_stem
        return Item(path, role, place, scale, marked, stem.rest if marked else path.stem)


def has_counterpart(own: FolderName, siblings: Iterable[FolderName]) -> bool:
    """Whether a folder has a sibling of the opposite role; one that says only a scale is LR beside HR."""
    wanted = "LR" if own.role == "HR" else "HR"
    return any(sibling.role == wanted or (wanted == "LR" and sibling.bare) for sibling in siblings)
