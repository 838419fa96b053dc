"""``npbsrn compare``: what several models make of one picture, side by side."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from npbsrn.cli.options import add_scale
from npbsrn.cli.say import tell
from npbsrn.errors import ExistsError, UsageError
from npbsrn.images.fitting import check_output
from npbsrn.storage.files import atomic_write, check_folder_of, refuse_existing

if TYPE_CHECKING:
    from npbsrn.comparison.results import Crop, Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The picture, the models, and where the panel and the page go."""
    parser.add_argument("picture", metavar="IMAGE", help="the original; it is reduced, and enlarged by each model")
    parser.add_argument(
        "--models", default="bicubic,clean", metavar="A,B,...",
        help="as for npbsrn upscale -m, or LABEL=MODEL; default bicubic,clean",
    )  # fmt: skip
    add_scale(parser)
    parser.add_argument(
        "--crop", type=parse_crop, metavar="X,Y,W,H",
        help="pixels of the original; default: where the last model is furthest ahead of the first",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="a panel: the original and crops")
    parser.add_argument("--html", type=Path, metavar="FILE", help="a page: a slider between any two pictures")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")


def parse_crop(text: str) -> list[int]:
    """A crop as it stands in an option."""
    words = text.split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is no place of a crop; give x,y,width,height in pixels")
    return [int(word) for word in words]


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn compare``."""
    from npbsrn.comparison.results import Crop, checked_crop, enlarge_by_all, telling_crop

    if arguments.output is not None:
        check_output(arguments.output)
    for path in (arguments.output, arguments.html):
        if path is not None:
            check_folder_of(path, UsageError)
            if path.is_dir():
                raise UsageError(f"cannot write {path}: it is a folder; name a file")
            refuse_existing(path, arguments.overwrite)
    if arguments.html is not None and arguments.html.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"a page ends in .html, not {arguments.html.suffix!r}")
    results = enlarge_by_all(arguments.picture, arguments.models.split(","), arguments.scale)
    height, width = results[-1].picture.shape[:2]
    crop = checked_crop(Crop(*arguments.crop), height, width) if arguments.crop else telling_crop(results)
    for result in results[:-1]:
        tell(f"{result.label:24} {result.figures}")
    tell(f"{'crop':24} {','.join(map(str, crop))}")
    if arguments.output is not None:
        _write_panel(arguments, results, crop)
    if arguments.html is not None:
        _write_page(arguments, results)
    for path in filter(None, (arguments.output, arguments.html)):
        tell(f"{path} is written")


def _write_panel(arguments: argparse.Namespace, results: "list[Result]", crop: "Crop") -> None:
    from npbsrn.comparison.panel import draw_panel
    from npbsrn.images.picture import Picture
    from npbsrn.images.writing import write_picture

    write_picture(Picture(draw_panel(results, crop)), arguments.output, arguments.overwrite)


def _write_page(arguments: argparse.Namespace, results: "list[Result]") -> None:
    from npbsrn.comparison.page import make_page

    try:
        with atomic_write(arguments.html, arguments.overwrite) as file:
            file.write(make_page(results, Path(arguments.picture).name, arguments.scale).encode())
    except FileExistsError:
        raise ExistsError(arguments.html) from None
