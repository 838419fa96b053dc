"""``npbsrn check``."""

import argparse
import json
from pathlib import Path

from npbsrn.cli.figures import add_json, check_json, write_json
from npbsrn.cli.options import max_pixels
from npbsrn.cli.say import tell, tell_lines
from npbsrn.errors import UsageError
from npbsrn.images.opening import MAX_PIXELS
from npbsrn.images.reading import read_picture

NOTES = "OUT is reduced to the size of IN by antialiased bicubic interpolation. Differences are in levels of 255."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two pictures, and where the figures go."""
    parser.epilog = NOTES
    parser.add_argument("original", type=Path, metavar="IN", help="the picture that was enlarged")
    parser.add_argument("result", type=Path, metavar="OUT", help="its enlargement, by any program")
    add_json(parser)
    parser.add_argument(
        "--max-pixels", type=max_pixels, default=MAX_PIXELS, metavar="N", help=f'or "any"; default {MAX_PIXELS}'
    )


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn check``."""
    from npbsrn.inference.checking import check

    check_json(arguments.json, arguments.overwrite)
    original, result = (read_picture(path, arguments.max_pixels) for path in (arguments.original, arguments.result))
    try:
        report = check(original, result)
    except UsageError as error:
        raise UsageError(f"{arguments.original}, {arguments.result}: {error}") from None
    names = {"original": str(arguments.original), "result": str(arguments.result)}
    if str(arguments.json) != "-":
        size = f"{report.width}x{report.height}"
        tell(f"{arguments.result}, reduced by {report.scale:.4g}, against {arguments.original} ({size})")
        tell_lines(report)
    write_json(arguments.json, json.dumps(names | report.to_dict(), indent=2), arguments.overwrite)
