"""``npbsrn cache``: what is kept on disk between commands, and removing it."""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from npbsrn.cli.say import say, tell
from npbsrn.storage.caches import cache_folder

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
    for words, folder, own, pattern in kept():
        files = [path for within in own for path in _files(within, pattern)]
        size = sum(path.stat().st_size for path in files)
        if arguments.clear:
            left += _remove(files)
            _remove_empty([*own, folder])
        done = "removed from" if arguments.clear else "in"
        tell(f"{words}: {size / 1e6:.1f} MB, {len(files)} files, {done} {folder}")
    return 1 if left else 0


def kept() -> Iterator[tuple[str, Path, list[Path], re.Pattern[str]]]:
    """What is kept: in words, its folder, the folders in it, and how the files there that are npbsrn's are called."""
    for folder, folders in sorted(_folders_of_kernels().items()):
        yield "compiled kernels", folder, [*sorted(folders), folder], KERNELS
    folder = cache_folder()
    ways = sorted(path for path in folder.glob("*") if path.is_dir() and path.name.isdecimal())  # of decoding
    yield "decoded pictures", folder, ways, PICTURES


def _folders_of_kernels() -> dict[Path, set[Path]]:
    """Those of this installation, and in the package's cache also those of others, by the folder around them."""
    from npbsrn.kernels.jit import FOLDERS, SOURCES

    for path in SOURCES:  # each kernel says where it is kept when it is imported
        import_module(f"npbsrn.{path.parent.name}.{path.stem}")
    found = defaultdict(set)
    for folder in {Path(folder) for folder in FOLDERS} | set((cache_folder() / "kernels").glob("*_*")):
        found[folder.parent].add(folder)
    return found


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
