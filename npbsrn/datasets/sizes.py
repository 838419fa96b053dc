"""Sizes of pictures, from the file headers: whether one picture is a reduced copy of another."""

import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from npbsrn.errors import DataError
from npbsrn.images.opening import opened

SCALES = (2, 3, 4, 6, 8)
Size = tuple[int, int]


def size_of(path: Path) -> Size | None:
    """Width and height, or None where the file cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # whoever reads the whole picture will hear them
            with open(path, "rb") as file, opened(file) as image:
                return int(image.width), int(image.height)
    except Exception:  # decoders raise whatever damage provokes in them
        return None


def may_be_reduced(low: Path, high: Path, scales: Sequence[int] = SCALES) -> bool:
    """Whether `low` may be `high` made small by one of the scales: by its size, or because a size is not known."""
    small, large = size_of(low), size_of(high)
    if small is None or large is None:
        return True
    return any(small == (large[0] // scale, large[1] // scale) for scale in scales)


def refuse_small_copies(files: Sequence[Path]) -> None:
    """Refuse pictures of which a whole folder is another one made small, whatever the folders are called.

    Raises
    ------
    DataError
        If each picture of a folder has a namesake in another one, and all are smaller by the same scale.
    """
    stems: dict[Path, dict[str, Path]] = defaultdict(dict)
    homes: dict[str, set[Path]] = defaultdict(set)
    for path in files:
        stems[path.parent][path.stem] = path
        homes[path.stem].add(path.parent)
    for folder, inside in stems.items():
        others = set.intersection(*(homes[stem] for stem in inside)) - {folder}
        for other in sorted(others):
            sizes = [(size_of(path), size_of(stems[other][stem])) for stem, path in inside.items()]
            if any(all(_reduced(small, large, scale) for small, large in sizes) for scale in SCALES):
                raise DataError(
                    f"{folder} holds the pictures of {other} made small; name {other} alone, or rename the folders to "
                    "HR and LR"
                )


def _reduced(small: Size | None, large: Size | None, scale: int) -> bool:
    return large is not None and small == (large[0] // scale, large[1] // scale)
