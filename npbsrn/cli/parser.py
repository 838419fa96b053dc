"""The command line: ``npbsrn upscale | train | compact | eval | models | info | pack | warmup | bench``.

Exit codes: 0, done; 1, the run failed; 2, bad usage or input; 128 plus the signal's number, interrupted: 130 by Ctrl-C,
143 by SIGTERM, 129 by SIGHUP.
"""

import argparse
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from npbsrn.binarizers.base import SCHEMES
from npbsrn.cli import commands
from npbsrn.cli.cache import add_cache, run_cache
from npbsrn.cli.export import add_export, run_export
from npbsrn.cli.options import ListOptions
from npbsrn.cli.say import say, spoken
from npbsrn.cli.upscale import run_upscale
from npbsrn.errors import NpbsrnError, TrainingDivergedError
from npbsrn.models import package_version
from npbsrn.networks.base import NETWORKS
from npbsrn.shipped import DEFAULT, MODELS
from npbsrn.training.config import PRESETS

MODEL = f'{", ".join(MODELS)}, "bicubic", a weight file or a run folder; default {DEFAULT}'


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and never raises for what a user can mend."""
    arguments = build_parser().parse_args(argv)
    if not logging.root.handlers:
        logging.root.addHandler(logging.NullHandler())  # what libraries log of damaged files, an error says
    try:
        with warnings.catch_warnings(), spoken():
            warnings.showwarning = lambda message, *_: say(f"warning: {message}")
            return int(arguments.command(arguments) or 0)
    except TrainingDivergedError as error:
        say(error)
        return 1
    except NpbsrnError as error:
        say(error)
        return 2
    except KeyboardInterrupt as interrupt:
        say(f"interrupted{interrupt}")
        return 128 + getattr(interrupt, "number", signal.SIGINT)
    except BrokenPipeError:  # who reads what is printed has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        say(f"{error.filename or 'a file'}: {error.strerror or error}; choose another file or place")
        return 2
    except MemoryError:
        say("there is not enough memory for this; use a smaller picture, batch or patch")
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        say(f"unexpected {type(error).__name__}: {error}; npbsrn --debug COMMAND shows where")
        return 1


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="npbsrn",
        description="Enlarge pictures with binarized networks, and train them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"npbsrn {package_version()}")
    parser.add_argument("--debug", action="store_true", help="show where an unexpected error comes from")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int | None], words: str, scale: bool = True
    ) -> argparse.ArgumentParser:
        command = subparsers.add_parser(name, help=words, description=words, allow_abbrev=False)
        command.set_defaults(command=run)
        if scale:
            command.add_argument("-s", "--scale", type=int, default=4, help="2, 3 or 4; default 4")
        return command

    command = add("upscale", run_upscale, "Enlarge a picture, or all pictures of a folder.")
    command.add_argument("-i", "--input", type=Path, required=True, metavar="IN", help="picture or folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="picture or folder to write")
    command.add_argument("-m", "--model", help=MODEL)
    command.add_argument("--overwrite", action="store_true", help="replace results that exist; without, they are kept")
    add_engine_options(command)
    command.add_argument("--tile", default="auto", metavar="PIXELS", help="side of the tiles of a large picture")
    command.add_argument("--threads", type=int, help="default: $NPBSRN_NUM_THREADS, or all CPUs")

    add_train_options(add("train", commands.run_train, "Train a network on a folder of photographs."))

    command = add("compact", commands.run_compact, "Write a run's state in half its bytes, to go on elsewhere.", False)
    command.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write")

    command = add("eval", commands.run_eval, "Print PSNR and SSIM of a model on a folder of pictures.")
    command.set_defaults(scale=None)  # the weights' own
    command.add_argument("folder", type=Path, metavar="DIR", help="HR pictures, or pairs in any of the usual layouts")
    command.add_argument("-m", "--model", help=MODEL)
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to FILE too; - prints them instead"
    )
    command.add_argument("--overwrite", action="store_true", help="replace FILE if it exists")
    add_engine_options(command)

    command = add("pack", commands.run_pack, "Write a packed weight file: a bit for each binary weight.", False)
    command.add_argument("model", type=Path, metavar="FILE", help="weight file or run folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the file to write")
    command.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")

    add_export(add("export", run_export, "Write weights as safetensors, or as an ONNX network of floats.", False))
    add_cache(add("cache", run_cache, "Show what is kept on disk: compiled kernels and decoded pictures.", False))
    add("warmup", commands.run_warmup, "Compile all kernels now, so that nothing has to be compiled later.", False)

    command = add("bench", commands.run_bench, "Time the enlargement of a picture on this machine.")
    command.add_argument("-m", "--model", help="a model's name, weight file or run folder; default clean")

    add("models", commands.run_models, "List the models that come with the package.", False)

    command = add("info", commands.run_info, "Print a network's parameters and cost, and a weight file's card.")
    command.add_argument(
        "-m", "--model", default=None, help=f"a model's name; {', '.join(sorted(NETWORKS))}; or a file"
    )
    return parser


def add_engine_options(command: argparse.ArgumentParser) -> None:
    """How pictures are enlarged."""
    command.add_argument("--engine", default="auto", help="auto, packed or reference; default auto")
    command.add_argument(
        "-x", "--ensemble", action="store_true", help="mean of eight turns and flips: better, in eight times the time"
    )


def add_train_options(command: argparse.ArgumentParser) -> None:
    """The options of ``npbsrn train``."""
    command.set_defaults(scale=None)
    command.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="pictures, in any of the usual layouts")
    command.add_argument(
        "-o", "--output", type=Path, metavar="RUN", help="the run's folder; default such as runs/bsrn-x4"
    )
    command.add_argument("--preset", help=f"{', '.join(PRESETS)}")
    command.add_argument("--resume", action="store_true", help="continue the run in RUN, with its own options")
    command.add_argument("--minutes", type=float, help="a time budget, to which the number of steps is fitted")
    command.add_argument("--init", metavar="FILE", help="weight file or run whose weights are the first")
    command.add_argument(
        "--teacher", type=Path, metavar="FILE",
        help="weight file or run whose results are a second target, with a share of --set distill=0.5 in the loss",
    )  # fmt: skip
    command.add_argument(
        "--validation", type=Path, nargs="+", metavar="DIR",
        help="folders to judge the weights on meanwhile; the first decides which are best",
    )  # fmt: skip
    command.add_argument("--network", help=f"{', '.join(sorted(NETWORKS))}; default: the preset's, bsrn or (best) bbcu")
    command.add_argument("--binarizer", help=f"{', '.join(sorted(SCHEMES))}; default bam")
    for name, kind in (("steps", int), ("batch", int), ("patch", int), ("rate", float), ("seed", int)):
        command.add_argument(f"--{name}", type=kind, help="default: the preset's")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="any other option of the run or the network, such as ema=0, milestones=0.5,0.75 or binarizer.alpha=one; "
        "of the data: keep=0.8 (only places where bicubic errs most), flat_patches=1 (of one colour), degrade=true",
    )  # fmt: skip
    command.add_argument("--help-options", action=ListOptions, help="list all options of --set, with defaults")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
