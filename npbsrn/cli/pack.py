"""``npbsrn pack``."""

import argparse
from pathlib import Path

from npbsrn.cli.options import refuse_name
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.models import load
from npbsrn.storage.files import refuse_existing
from npbsrn.storage.run_files import WEIGHTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is packed, and where it goes."""
    parser.add_argument("model", type=Path, metavar="FILE", help="weight file or run folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn pack``."""
    from npbsrn.packed.format import save_packed
    from npbsrn.packed.lower import lower

    if arguments.output.suffix != ".npz":
        raise UsageError(f"a packed weight file ends in .npz, not {arguments.output.suffix!r}")
    refuse_name(arguments.model)
    read = [arguments.model, *(arguments.model / name for name in WEIGHTS)]
    if arguments.output.exists() and any(path.exists() and arguments.output.samefile(path) for path in read):
        raise UsageError(f"{arguments.output} is what is to be packed; write to another file, so that it stays")
    refuse_existing(arguments.output, arguments.overwrite)
    save_packed(arguments.output, lower(load(arguments.model)))
    tell(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")
