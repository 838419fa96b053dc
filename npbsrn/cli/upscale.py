"""``npbsrn upscale``: a picture, or all pictures of a folder."""

import argparse
from pathlib import Path

from npbsrn.cli.batch import plan
from npbsrn.cli.folder import enlarge_folder
from npbsrn.errors import TooLargeError


def run_upscale(arguments: argparse.Namespace) -> int:
    """``npbsrn upscale``."""
    from npbsrn.inference.choose import choose_runner
    from npbsrn.inference.upscaling import upscale_file

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
