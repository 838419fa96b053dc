"""``npbsrn export``: weights for other tools."""

import argparse
from pathlib import Path

from npbsrn.cli.options import refuse_name
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.models import load, save_model
from npbsrn.storage.files import check_folder_of, refuse_existing
from npbsrn.storage.tensors import SUFFIX


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is exported, and where it goes."""
    parser.add_argument("model", type=Path, metavar="FILE", help="weight file or run folder")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT",
        help=f"the file to write: {SUFFIX}, or .npz to come back from there",
    )  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn export``."""
    target = arguments.output
    if target.suffix not in (SUFFIX, ".npz"):
        raise UsageError(f"weights are exported to a file that ends in {SUFFIX} or .npz, not {target.name!r}")
    refuse_name(arguments.model)
    check_folder_of(target, UsageError)
    refuse_existing(target, arguments.overwrite)
    save_model(target, load(arguments.model))
    tell(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
