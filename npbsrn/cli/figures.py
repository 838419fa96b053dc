"""Figures as JSON, in a file or on standard output."""

import argparse
from pathlib import Path

from npbsrn.errors import ExistsError, UsageError
from npbsrn.images.formats import WRITTEN
from npbsrn.storage.files import atomic_write, check_folder_of, refuse_existing


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to FILE, too; - prints them instead"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def check_json(path: Path | None, overwrite: bool) -> None:
    """Refuse, before any work is done, a file that could not be written."""
    if path is None or str(path) == "-":
        return
    if path.suffix.lower() in WRITTEN:
        raise UsageError(f"--json {path} is the name of a picture; name a .json file")
    check_folder_of(path, UsageError)
    refuse_existing(path, overwrite)


def write_json(path: Path | None, text: str, overwrite: bool) -> None:
    """Write JSON, or print it."""
    if path is None:
        return
    if str(path) == "-":
        print(text)
        return
    try:
        with atomic_write(path, overwrite) as file:
            file.write(text.encode() + b"\n")
    except FileExistsError:
        raise ExistsError(path) from None
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another place") from None
