"""``npbsrn cache``: what is kept on disk between commands, and removing it."""

import argparse
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from npbsrn.cli.say import say, tell

# As Numba calls its index and its machine code, and `npbsrn.kernels.cpu` the name of the quickest kernel.
KERNELS = re.compile(r".*\.nb[ic]|kernel-[0-9a-f]{16}\.txt")
PICTURES = re.compile(r"[0-9a-f]{32}-.+\.npy")  # as `npbsrn.training.cache` and `places` name them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether it is shown or removed."""
    parser.add_argument(
        "--clear", action="store_true", help="remove it; later commands compile and decode anew, running ones may fail"
    )


def run(arguments: argparse.Namespace) -> int:
    """``npbsrn cache``."""
    left = 0
    for words, folder, files in kept():
        size = sum(path.stat().st_size for path in files)
        if arguments.clear:
            left += _remove(files)
            _remove_empty([*_folders(folder), folder])
        done = "removed from" if arguments.clear else "in"
        tell(f"{words}: {size / 1e6:.1f} MB, {len(files)} files, {done} {folder}")
    return 1 if left else 0


def kept() -> Iterator[tuple[str, Path, list[Path]]]:
    """What is kept: in words, its folder, and the files there that are npbsrn's."""
    for folder in sorted(_folders_of_kernels()):
        yield (
            f"compiled kernels, {folder.parent.name if folder.name == '__pycache__' else folder.name}",
            folder,
            _files(folder, KERNELS),
        )
    from npbsrn.training.cache import default_cache

    folder = default_cache()
    yield "decoded pictures", folder, [path for own in _folders(folder) for path in _files(own, PICTURES)]


def _folders_of_kernels() -> set[Path]:
    from npbsrn.kernels.jit import FOLDERS, SOURCES

    for path in SOURCES:  # each kernel says where it is kept when it is imported
        import_module(f"npbsrn.{path.parent.name}.{path.stem}")
    return {Path(folder) for folder in FOLDERS}


def _folders(folder: Path) -> list[Path]:
    """A folder for each way in which pictures have been decoded."""
    return sorted(path for path in folder.glob("*") if path.is_dir() and path.name.isdecimal())


def _files(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name) and path.is_file())


def _remove(files: list[Path]) -> int:
    """Remove files; returns how many could not be."""
    left = 0
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            say(f"{path} cannot be removed: {error.strerror}")
            left += 1
    return left


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that hold nothing any more; they are made again when they are needed."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
