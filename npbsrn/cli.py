"""The command line: ``npbsrn upscale | train | compact | eval | info | pack | warmup | bench``.

Exit codes: 0, done; 1, the run failed; 2, bad usage or input; 130, interrupted.
"""

import argparse
import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from npbsrn.errors import NpbsrnError, PictureError, TrainingDivergedError, UsageError
from npbsrn.files import atomic_write
from npbsrn.models import load, package_version
from npbsrn.networks import NETWORKS, count_parameters, make_network
from npbsrn.pictures import FORMATS, check_output, open_picture, write_picture
from npbsrn.training.config import PRESETS

OWN_OPTIONS = {
    "folder",
    "scale",
    "output",
    "preset",
    "resume",
    "validation",
    "init",
    "teacher",
    "minutes",
    "cache",
    "progress",
}  # of `train`


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and never raises for what a user can mend."""
    arguments = build_parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
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
        return 130
    except OSError as error:
        say(f"{error.filename or 'a file'}: {error.strerror or error}; choose another file or place")
        return 2
    except MemoryError:
        say("there is not enough memory for this; use a smaller picture, batch or patch")
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        say(f"unexpected {type(error).__name__}: {error}; --debug shows where")
        return 1


def say(message: object) -> None:
    """Print a sentence to the error stream."""
    print(f"npbsrn: {message}", file=sys.stderr)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="npbsrn",
        description="Enlarge pictures with binarized networks, and train them.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"npbsrn {package_version()}")
    parser.add_argument("--debug", action="store_true", help="show where an unexpected error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(
        name: str, run: Callable[[argparse.Namespace], int | None], words: str, scale: bool = True
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=words, description=words, allow_abbrev=False)
        command.set_defaults(command=run)
        if scale:
            command.add_argument("-s", "--scale", type=int, default=4, help="2, 3 or 4; default 4")
        return command

    command = add("upscale", run_upscale, "Enlarge a picture, or all pictures of a folder.")
    command.add_argument("-i", "--input", type=Path, required=True, metavar="IN", help="picture or folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="picture or folder to write")
    command.add_argument("-m", "--model", help='weight file, run folder, or "bicubic"; default: the package\'s weights')
    command.add_argument("--engine", default="auto", help="auto, packed or reference; default auto")
    command.add_argument("--tile", default="auto", metavar="PIXELS", help="side of the tiles of a large picture")
    command.add_argument("--threads", type=int, help="default: $NPBSRN_NUM_THREADS, or all CPUs")

    add_train_options(add("train", run_train, "Train a network on a folder of photographs."))

    command = add("compact", run_compact, "Write a run's state in half its bytes, to go on elsewhere.", False)
    command.add_argument("run", type=Path, metavar="RUN", help="the run's folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the folder to write")

    command = add("eval", run_eval, "Print PSNR and SSIM of a model on a folder of pictures.")
    command.add_argument("folder", type=Path, metavar="DIR", help="HR pictures, or pairs in any of the usual layouts")
    command.add_argument("-m", "--model", help='weight file, run folder, or "bicubic"; default: the package\'s weights')
    command.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures to FILE too; - prints them instead"
    )

    command.add_argument("--engine", default="auto", help="auto, packed or reference; default auto")

    command = add("pack", run_pack, "Write a packed weight file: a bit for each binary weight.", False)
    command.add_argument("model", type=Path, metavar="FILE", help="weight file or run folder")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the file to write")

    add("warmup", run_warmup, "Compile all kernels now, so that nothing has to be compiled later.", False)

    command = add("bench", run_bench, "Time the enlargement of a picture on this machine.")
    command.add_argument("-m", "--model", help="weight file or run folder; default: the package's weights")

    command = add("info", run_info, "Print a network's parameters and cost, and a weight file's card.")
    command.add_argument("-m", "--model", default=None, help=f"{', '.join(NETWORKS)}, or a weight file")
    return parser


def add_train_options(command: argparse.ArgumentParser) -> None:
    """The options of ``npbsrn train``."""
    command.set_defaults(scale=None)
    command.add_argument("folder", type=Path, nargs="?", metavar="DIR", help="pictures, in any of the usual layouts")
    command.add_argument("-o", "--output", type=Path, metavar="RUN", help="the run's folder; default runs/bsrn-x4")
    command.add_argument("--preset", help=f"{', '.join(PRESETS)}")
    command.add_argument("--resume", action="store_true", help="continue the run in RUN, with its own options")
    command.add_argument("--minutes", type=float, help="a time budget, to which the number of steps is fitted")
    command.add_argument("--init", type=Path, metavar="FILE", help="weight file or run whose weights are the first")
    command.add_argument(
        "--teacher", type=Path, metavar="FILE",
        help="weight file or run whose results are a second target, with a share of --set distill=0.5 in the loss",
    )  # fmt: skip
    command.add_argument(
        "--validation", type=Path, nargs="+", metavar="DIR",
        help="folders to judge the weights on meanwhile; the first decides which are best",
    )  # fmt: skip
    for name, kind in (("steps", int), ("batch", int), ("patch", int), ("rate", float), ("seed", int)):
        command.add_argument(f"--{name}", type=kind, help="default: the preset's")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="any other option of the run or the network, such as ema=0, milestones=0.5,0.75 or binarizer.alpha=one",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def run_upscale(arguments: argparse.Namespace) -> int:
    """``npbsrn upscale``."""
    from npbsrn.datasets import pictures_in
    from npbsrn.upscaling import choose_model, upscale

    source, target = arguments.input, arguments.output
    folder = source.is_dir()
    if folder and (target.suffix.lower() in FORMATS or target.is_file()):
        raise UsageError(f"{source} is a folder, so -o must name a folder too, not {target}")
    if folder and target.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{target} is {source} or lies in it; write to another folder, so that the originals stay")
    if not folder:
        check_output(target)
        if target.exists() and source.exists() and target.samefile(source):
            raise UsageError(f"{target} is the input itself; write to another file, so that the original stays")
    tile = int(arguments.tile) if arguments.tile.isdecimal() else arguments.tile
    model = choose_model(arguments.model, arguments.scale, arguments.engine)
    jobs = [(p, target / p.relative_to(source)) for p in pictures_in(source)] if folder else [(source, target)]
    if folder:
        make_folder(target)
    failed = 0
    for picture, result in tqdm(jobs, unit="picture", disable=len(jobs) == 1 or None, leave=False):
        try:
            image = open_picture(picture)
            if folder:
                make_folder(result.parent)
            check_output(result, image)
            enlarged = upscale(
                image, arguments.scale, model, engine=arguments.engine, tile=tile, threads=arguments.threads
            )
            write_picture(enlarged, result)
            if not folder:
                print(f"{result}: {enlarged.width}x{enlarged.height} pixels")
        except PictureError as error:
            if not folder:
                raise
            failed += 1
            tqdm.write(f"npbsrn: {error}", file=sys.stderr)
    if failed:
        say(f"{failed} of {len(jobs)} pictures could not be enlarged; the others are in {target}")
    return 2 if failed else 0


def make_folder(folder: Path) -> None:
    """Make a folder for results."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PictureError(f"cannot make the folder {folder}: {error.strerror}; choose another place") from None


def run_train(arguments: argparse.Namespace) -> None:
    """``npbsrn train``."""
    from npbsrn.training.train import train

    options = {name: getattr(arguments, name) for name in ("steps", "batch", "patch", "rate", "seed")}
    options = {name: value for name, value in options.items() if value is not None}
    for setting in arguments.settings:
        _set(options, setting)
    model = train(
        arguments.folder, arguments.scale, arguments.output, preset=arguments.preset, resume=arguments.resume,
        validation=arguments.validation, init=arguments.init, teacher=arguments.teacher, minutes=arguments.minutes,
        progress=not arguments.quiet,
        **options,
    )  # fmt: skip
    psnr = model.card["validation_psnr"]
    judged = "" if psnr is None else f", validation PSNR {psnr} dB"
    print(f"{model.card['steps']} steps in {model.card['minutes']} minutes{judged}")


def _set(options: dict[str, Any], setting: str) -> None:
    """Put ``a.b=value`` into nested options; the value is JSON where it can be, else a word."""
    name, equals, text = setting.partition("=")
    if not equals or not name:
        raise UsageError(f"--set takes NAME=VALUE, not {setting!r}")
    value: Any = text
    for form in [f"[{text}]", text] if "," in text else [text]:  # a list needs no brackets
        with contextlib.suppress(json.JSONDecodeError):
            value = json.loads(form)
    *path, last = name.split(".")
    if name.split(".")[0] in OWN_OPTIONS:
        raise UsageError(f"--set {setting}: {name} is no option of the run or the network; see npbsrn train --help")
    for key in path:
        options = options.setdefault(key, {})
        if not isinstance(options, dict):
            raise UsageError(f"--set {setting}: {key} has no parts")
    options[last] = value


def run_compact(arguments: argparse.Namespace) -> None:
    """``npbsrn compact``."""
    from npbsrn.training.compact import compact_run

    path, state = compact_run(arguments.run, arguments.output)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, step {state.step}")
    print(f"npbsrn train DIR -o {arguments.output} --resume goes on with it")


def run_eval(arguments: argparse.Namespace) -> None:
    """``npbsrn eval``."""
    from npbsrn.evaluation import evaluate

    if arguments.json and str(arguments.json) != "-" and not arguments.json.parent.is_dir():
        raise UsageError(f"cannot write {arguments.json}: there is no folder {arguments.json.parent}; make it first")
    with tqdm(unit="picture", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update()

        report = evaluate(arguments.model, arguments.folder, arguments.scale, progress, engine=arguments.engine)
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


def run_pack(arguments: argparse.Namespace) -> None:
    """``npbsrn pack``."""
    from npbsrn.packed.file import save_packed
    from npbsrn.packed.fold import fold

    if arguments.output.suffix != ".npz":
        raise UsageError(f"a packed weight file ends in .npz, not {arguments.output.suffix!r}")
    save_packed(arguments.output, fold(load(arguments.model)))
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.2f} MB")


def run_warmup(arguments: argparse.Namespace) -> None:
    """``npbsrn warmup``."""
    from npbsrn.warmup import warmup

    for words in warmup():
        print(words, flush=True)


def run_bench(arguments: argparse.Namespace) -> None:
    """``npbsrn bench``."""
    from npbsrn.bench import bench

    for words in bench(arguments.model, arguments.scale):
        print(words, flush=True)


def run_info(arguments: argparse.Namespace) -> None:
    """``npbsrn info``."""
    if arguments.model in NETWORKS:
        network = make_network({"name": arguments.model, "scale": arguments.scale})
        params, card = network.init(0), {}
    else:
        model = load(arguments.model, arguments.scale)
        network, params, card = model.network, model.params, model.card
    counts = count_parameters(params)
    scale = network.scale
    trace = network.trace(720 // scale, 1280 // scale)
    print(f"network     {json.dumps(network.config)}")
    print(f"parameters  {counts['total'] / 1e3:.1f} K ({counts['binary'] / 1e3:.1f} K of 1 bit)")
    print(f"MACs        {trace.macs / 1e9:.1f} G for {trace.width}x{trace.height} pixels out")
    for key, value in card.items():
        if key != "config":
            print(f"{key:11} {json.dumps(value) if isinstance(value, dict) else value}")
