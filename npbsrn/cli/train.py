"""``npbsrn train``."""

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from npbsrn.binarizers.base import SCHEMES
from npbsrn.cli.options import set_option
from npbsrn.cli.say import tell
from npbsrn.cli.train_options import ListOptions
from npbsrn.errors import UsageError
from npbsrn.networks.base import NETWORKS
from npbsrn.training.config import PRESETS

TRAIN_OPTIONS = ("network", "binarizer", "steps", "batch", "patch", "rate", "seed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``npbsrn train``."""
    parser.add_argument("-s", "--scale", type=int, help="2, 3 or 4; default 4")
    parser.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="pictures, in any of the usual layouts")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="RUN", help="the run's folder; default such as runs/bsrn-x4"
    )
    parser.add_argument("--preset", help=f"{', '.join(PRESETS)}")
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN, with its own options")
    parser.add_argument("--minutes", type=float, help="a time budget, to which the number of steps is fitted")
    parser.add_argument("--init", metavar="MODEL", help="bsrn, a weight file or a run whose weights are the first")
    parser.add_argument(
        "--teacher", metavar="MODEL",
        help="bsrn, a weight file or a run whose results are a second target, with a share of --set distill=0.5",
    )  # fmt: skip
    parser.add_argument(
        "--validation", type=Path, nargs="+", metavar="DIR",
        help="folders to judge the weights on meanwhile; the first decides which are best",
    )  # fmt: skip
    parser.add_argument("--network", help=f"{', '.join(sorted(NETWORKS))}; default: the preset's, bsrn or (best) bbcu")
    parser.add_argument("--binarizer", help=f"{', '.join(sorted(SCHEMES))}; default bam")
    for name, kind in (("steps", int), ("batch", int), ("patch", int), ("rate", float), ("seed", int)):
        parser.add_argument(f"--{name}", type=kind, help="default: the preset's")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="any other option of the run or the network, such as ema=0, milestones=0.5,0.75 or binarizer.alpha=one; "
        "of the data: keep=0.8 (only places where bicubic errs most), flat_patches=1 (of one colour), degrade=true",
    )  # fmt: skip
    parser.add_argument("--help-options", action=ListOptions, help="list all options of --set, with defaults")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn train``."""
    from npbsrn.training.ranks import find_ranks, is_first
    from npbsrn.training.train import train

    try:
        options = _options(arguments)
    except UsageError:
        if is_first():
            raise
        sys.exit(2)
    if not find_ranks().first:  # what all of them would say, the first one says
        logging.getLogger("npbsrn").addFilter(lambda record: record.levelno == logging.DEBUG)
        warnings.simplefilter("ignore")
    model = train(
        arguments.folder, arguments.scale, arguments.output, preset=arguments.preset, resume=arguments.resume,
        validation=arguments.validation, init=arguments.init, teacher=arguments.teacher, minutes=arguments.minutes,
        progress=not arguments.quiet,
        **options,
    )  # fmt: skip
    if not find_ranks().first:
        return
    psnr = model.card["validation_psnr"]
    judged = "" if psnr is None else f", validation PSNR {psnr} dB"
    tell(f"{model.card['steps']} steps in {model.card['minutes']} minutes{judged}")


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What differs from the preset."""
    options = {name: getattr(arguments, name) for name in TRAIN_OPTIONS}
    options = {name: value for name, value in options.items() if value is not None}
    if arguments.binarizer is not None:
        options["binarizer"] = {"name": arguments.binarizer}  # to which --set binarizer.OPTION=VALUE may add
    for setting in arguments.settings:
        set_option(options, setting)
    return options
