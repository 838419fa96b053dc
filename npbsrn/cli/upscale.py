"""``npbsrn upscale``: a picture, or all pictures of a folder."""

import argparse
from pathlib import Path

from npbsrn.cli.batch import plan
from npbsrn.cli.folder import enlarge_folder
from npbsrn.cli.options import MODEL, add_engine_options
from npbsrn.errors import TooLargeError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is enlarged, how, and where it goes."""
    parser.add_argument("-s", "--scale", type=int, default=4, help="2, 3 or 4; default 4")
    parser.add_argument("-i", "--input", type=Path, required=True, metavar="IN", help="picture or folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="picture or folder to write")
    parser.add_argument("-m", "--model", help=MODEL)
    parser.add_argument("--overwrite", action="store_true", help="replace results that exist; without, they are kept")
    add_engine_options(parser)
    parser.add_argument("--tile", default="auto", metavar="PIXELS", help="side of the tiles of a large picture")
    parser.add_argument("--threads", type=int, help="default: $NPBSRN_NUM_THREADS, or all CPUs")


def run(arguments: argparse.Namespace) -> int:
    """``npbsrn upscale``."""
    from npbsrn.inference.choose import choose_runner
    from npbsrn.inference.files import upscale_file

    source, target = arguments.input, arguments.output
    batch = plan(source, target, arguments.overwrite) if source.is_dir() else None
    tile = int(arguments.tile) if arguments.tile.isdecimal() else arguments.tile
    model = choose_runner(arguments.model, arguments.scale, arguments.engine) if batch else arguments.model

    def enlarge(picture: Path, result: Path) -> tuple[int, int]:
        try:
            return upscale_file(
                picture, result, arguments.scale, model, engine=arguments.engine, tile=tile,
                threads=arguments.threads, overwrite=arguments.overwrite, ensemble=arguments.ensemble,
            )  # fmt: skip
        except MemoryError:
            raise TooLargeError(
                "there is not enough memory to enlarge this; give --tile 256, or cut the picture"
            ) from None

    if batch:
        return enlarge_folder(batch, target, enlarge)
    width, height = enlarge(source, target)
    print(f"{target}: {width}x{height} pixels")
    return 0
