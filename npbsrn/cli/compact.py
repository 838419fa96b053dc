"""``npbsrn compact``."""

import argparse
from pathlib import Path

from npbsrn.cli.say import tell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The run, and where it goes."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn compact``."""
    from npbsrn.training.compact import compact_run

    path, state = compact_run(arguments.run, arguments.output)
    tell(f"{path}: {path.stat().st_size / 1e6:.1f} MB, step {state.step}")
    tell(f"npbsrn train DIR -o {arguments.output} --resume goes on with it")
