"""``npbsrn eval``."""

import argparse
from pathlib import Path

from npbsrn.cli.figures import add_json, check_json, write_json
from npbsrn.cli.options import MODEL, add_engine_options, add_scale
from npbsrn.cli.say import tell_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pictures, the model, and where the figures go."""
    add_scale(parser, None)
    parser.add_argument("folder", type=Path, metavar="DIR", help="HR pictures, or pairs in any of the usual layouts")
    parser.add_argument("-m", "--model", help=MODEL)
    add_json(parser)
    add_engine_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn eval``."""
    from tqdm import tqdm

    from npbsrn.inference.evaluation import evaluate

    check_json(arguments.json, arguments.overwrite)
    with tqdm(unit="picture", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update()

        report = evaluate(
            arguments.model, arguments.folder, arguments.scale, progress,
            engine=arguments.engine, ensemble=arguments.ensemble,
        )  # fmt: skip
    if str(arguments.json) != "-":
        tell_lines(report)
    write_json(arguments.json, report.to_json(), arguments.overwrite)
