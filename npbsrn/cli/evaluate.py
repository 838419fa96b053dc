"""``npbsrn eval``."""

import argparse
from pathlib import Path

from tqdm import tqdm

from npbsrn.cli.options import MODEL, add_engine_options, add_scale
from npbsrn.errors import UsageError
from npbsrn.images.formats import FORMATS
from npbsrn.storage.files import atomic_write, check_folder_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pictures, the model, and where the figures go."""
    add_scale(parser)
    parser.add_argument("folder", type=Path, metavar="DIR", help="HR pictures, or pairs in any of the usual layouts")
    parser.add_argument("-m", "--model", help=MODEL)
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to FILE too; - prints them instead"
    )
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn eval``."""
    from npbsrn.inference.evaluation import evaluate

    if arguments.json and str(arguments.json) != "-":
        if arguments.json.suffix.lower() in FORMATS:
            raise UsageError(f"--json {arguments.json} is the name of a picture; name a .json file")
        check_folder_of(arguments.json, UsageError)
    with tqdm(unit="picture", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update()

        report = evaluate(
            arguments.model, arguments.folder, arguments.scale, progress,
            engine=arguments.engine, ensemble=arguments.ensemble,
        )  # fmt: skip
    if str(arguments.json) == "-":
        print(report.to_json())
        return
    print(report)
    if arguments.json:
        try:
            with atomic_write(arguments.json) as file:
                file.write(report.to_json().encode() + b"\n")
        except OSError as error:
            raise UsageError(f"cannot write {arguments.json}: {error.strerror}; choose another place") from None
