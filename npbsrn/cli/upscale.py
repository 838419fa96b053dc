"""``npbsrn upscale``: pictures, and all pictures of folders."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import ImageColor

from npbsrn import __version__
from npbsrn.cli.bar import at_work, named_warnings
from npbsrn.cli.batch import Wish, plan
from npbsrn.cli.folder import Manner, Way, enlarge_batch
from npbsrn.cli.options import MODEL, add_engine_options, max_pixels
from npbsrn.cli.say import say, tell
from npbsrn.cli.stores import has_url, plan_stores
from npbsrn.errors import PictureError, UsageError
from npbsrn.images.formats import WRITTEN, is_written, target_suffix
from npbsrn.images.opening import MAX_PIXELS, opened, refusals
from npbsrn.images.saving import WHITE, Saving, provenance

STANDARD = "-"  # input or output
USAGE = "npbsrn [upscale] PICTURE ... [-o OUT] [-s SCALE] [-m MODEL] [-f FORMAT] [-q QUALITY] ..."
NOTES = """Without -o, each result lies beside its original: photo.jpg becomes photo-x4.jpg. Folders are taken with
their subfolders; results that exist are left alone. "-" is standard input or output."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is enlarged, how, and where it goes."""
    parser.usage, parser.epilog = USAGE, NOTES
    parser.add_argument("inputs", nargs="*", metavar="PICTURE", help="pictures and folders")
    parser.add_argument("-i", "--input", action="append", default=[], metavar="IN", help="the same, by an option")
    parser.add_argument("-o", "--output", metavar="OUT", help="file or folder to write; default: beside each picture")
    parser.add_argument(
        "-s", "--scale", type=_scale, help="above 1, up to 16, such as 2 or 1.5; default 4, or that of a weight file"
    )
    parser.add_argument("-m", "-n", "--model", help=MODEL)
    _add_saving(parser)
    _add_choice(parser)
    add_engine_options(parser)
    parser.add_argument(
        "-t", "--tile", type=_tile, default="auto", metavar="PIXELS", help="side of the tiles of a large picture"
    )
    parser.add_argument("-j", "--threads", type=_threads, help="default: $NPBSRN_NUM_THREADS, or all CPUs")
    parser.add_argument(
        "--dask", metavar="ADDRESS", help="have the workers of a Dask scheduler do it: tcp://HOST:PORT; or local"
    )
    parser.add_argument(
        "--max-pixels", type=max_pixels, default=MAX_PIXELS, metavar="N",
        help=f'of a picture that is opened, or "any"; default {MAX_PIXELS}',
    )  # fmt: skip
    parser.add_argument("--first-frame", action="store_true", help="only the first picture of an animation, or page")
    parser.add_argument("-v", "--verbose", action="store_true", help="a line for each picture")
    parser.add_argument("--quiet", action="store_true", help="nothing but warnings and errors, and no progress bar")


def _add_saving(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--format", type=_format, help="jpg, png, webp, ...; default: as the picture's")
    parser.add_argument("-q", "--quality", type=_quality, help="of JPEG, WebP and AVIF, 1 to 100; default 95")
    parser.add_argument(
        "--background", type=_colour, default=WHITE, metavar="COLOUR",
        help="under transparent pixels where the format has no transparency, such as black or #ffcc00; default white",
    )  # fmt: skip
    parser.add_argument("--strip-metadata", action="store_true", help="leave out EXIF, XMP, texts and the like")
    parser.add_argument("--suffix", help='behind the name of each result; default "-x4" (the scale), or "" with -o')


def _add_choice(parser: argparse.ArgumentParser) -> None:
    depth = parser.add_mutually_exclusive_group()
    depth.add_argument(
        "--recursive", action="store_false", dest="flat", default=False, help="folders within folders, too: the default"
    )
    depth.add_argument("--flat", action="store_true", default=False, help="not the folders within folders")
    there = parser.add_mutually_exclusive_group()
    there.add_argument("--overwrite", action="store_true", help="replace results that exist")
    there.add_argument(
        "--skip-existing", action="store_true", help="leave results alone that exist: the default for several pictures"
    )


def run(arguments: argparse.Namespace) -> int:
    """``npbsrn upscale``."""
    inputs = [*arguments.inputs, *arguments.input]
    if not inputs:
        raise UsageError("name a picture, or a folder of pictures; npbsrn help upscale lists the options")
    _refuse_contradiction(arguments)
    if len(inputs) == 2 and arguments.output is None:
        _refuse_target_among(inputs)
    streams = STANDARD in (*inputs, arguments.output)
    if streams and (len(inputs) > 1 or Path(inputs[0]).is_dir()):
        raise UsageError('"-" stands for one picture; name no others with it')
    if streams and arguments.dask is not None:
        raise UsageError('"-" is a stream of this machine; name files or folders for --dask, or leave it out')
    urls = has_url([*inputs, arguments.output])
    if urls and arguments.dask is None:
        raise UsageError("URLs are read and written by Dask's workers; add --dask local, or a scheduler's address")
    if arguments.dask is not None:
        from npbsrn.cluster.client import check_address

        check_address(arguments.dask)  # before weights are read
    manner = _manner(arguments)
    if not arguments.quiet:
        _say_how(manner)
    if streams:
        return _enlarge_stream(inputs[0], arguments, manner)
    way = _over(arguments, manner)
    if urls:
        return enlarge_batch(plan_stores(inputs, arguments.output, _wish([], arguments, manner)), manner, way)
    return enlarge_batch(plan(_wish(inputs, arguments, manner)), manner, way)


def _over(arguments: argparse.Namespace, manner: Manner) -> Way | None:
    """The way over Dask, where that is asked for."""
    if arguments.dask is None:
        return None
    from npbsrn.cli.cluster import Over, network_of

    network = network_of(arguments.model, arguments.engine, manner.how.runner)
    return Over(arguments.dask, network, manner.how.threads or 1)


def _manner(arguments: argparse.Namespace) -> Manner:
    from npbsrn.inference.any_scale import runner_for
    from npbsrn.inference.tasks import How
    from npbsrn.inference.upscaling import check_threads, check_tile

    runner = runner_for(arguments.model, arguments.scale, arguments.engine)
    history = provenance(__version__, runner.name, runner.scale, runner.digest)
    saving = Saving(
        quality=arguments.quality, background=arguments.background, strip=arguments.strip_metadata,
        provenance=None if arguments.strip_metadata else history, format=arguments.format,
    )  # fmt: skip
    how = How(runner, check_threads(arguments.threads), check_tile(arguments.tile), arguments.ensemble)
    return Manner(
        how, saving, arguments.overwrite, arguments.first_frame, arguments.max_pixels, arguments.quiet,
        arguments.verbose,
    )  # fmt: skip


def _say_how(manner: Manner) -> None:
    """Say which networks, and which resizing, a scale is composed of."""
    from npbsrn.inference.any_scale import Composed

    if isinstance(manner.how.runner, Composed):
        say(manner.how.runner)


def _wish(inputs: Sequence[str], arguments: argparse.Namespace, manner: Manner) -> Wish:
    return Wish(
        [Path(name) for name in inputs], arguments.output, f"-x{manner.how.runner.scale:g}", arguments.suffix,
        arguments.format, arguments.flat, arguments.overwrite, arguments.skip_existing,
    )  # fmt: skip


def _refuse_contradiction(arguments: argparse.Namespace) -> None:
    if arguments.suffix and not set(arguments.suffix).isdisjoint("/\\\0"):
        raise UsageError(f"--suffix is a part of a file's name, not {arguments.suffix!r}")
    named = Path(arguments.output or "").suffix.lower()
    if arguments.format and named in WRITTEN and WRITTEN[named] is not WRITTEN.get(arguments.format):
        raise UsageError(f"-o {arguments.output} and -f {arguments.format[1:]} name two formats; leave one out")


def _refuse_target_among(inputs: Sequence[str]) -> None:
    """Refuse a picture and the name of its result, as some programs take them."""
    if is_written(Path(inputs[1]).suffix) and not os.path.lexists(inputs[1]):
        raise UsageError(f"there is no file {inputs[1]}; to write it, give it behind -o")


def _enlarge_stream(source: str, arguments: argparse.Namespace, manner: Manner) -> int:
    """Enlarge one picture from standard input, to standard output, or both."""
    from dataclasses import replace

    output = STANDARD if arguments.output is None else arguments.output
    if output == STANDARD and sys.stdout is None:
        raise UsageError("standard output is closed; name a file by -o")
    if output == STANDARD and sys.stdout.isatty():
        raise UsageError("the picture would go to the terminal; name a file by -o, or send the output to one")
    if output != STANDARD and arguments.skip_existing and os.path.lexists(output):
        if not manner.quiet:
            tell(f"{output} exists already and is left alone")
        return 0
    name = "standard input" if source == STANDARD else source
    given = sys.stdin.buffer.read() if source == STANDARD else Path(source)
    if output == STANDARD:
        form = arguments.format or (_suffix_of(given) if isinstance(given, bytes) else target_suffix(given.suffix))
        manner = replace(manner, saving=replace(manner.saving, format=form))
    with named_warnings(), at_work(name):
        if output == STANDARD:
            content = manner.encoded(manner.task(given, None, name))
            _put_out(content)
            return 0
        width, height = manner.write(manner.task(given, Path(output), name))
    if not manner.quiet:
        tell(f"{output}: {width}x{height} pixels")
    return 0


def _put_out(content: bytes) -> None:
    """Write to standard output, whose failure is this sentence and not another one when Python ends."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise UsageError(f"standard output: {error.strerror}; the picture is not complete") from None


def _suffix_of(content: bytes) -> str:
    """The suffix of the format of a picture file's content; that of PNG for one that is not written."""
    if not content:
        raise PictureError("standard input is empty; send a picture to it")
    with refusals("standard input"), opened(io.BytesIO(content)) as image:
        kind = {"MPO": "JPEG"}.get(image.format, image.format)
    return next((suffix for suffix, form in WRITTEN.items() if form.name == kind), ".png")


# --- values of options ---


def _format(text: str) -> str:
    suffix = f".{text.lower().removeprefix('.')}"
    if not is_written(suffix):
        raise argparse.ArgumentTypeError(f"{text} is no format that is written; choose among png, jpg, webp, tif, ...")
    return suffix


def _scale(text: str) -> float:
    """A number, with or without an x: 4, 2.5, x4, 4x."""
    try:
        return float(text.lower().removeprefix("x").removesuffix("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, such as 2 or 1.5, not {text!r}") from None


def _quality(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 100, not {text!r}")
    return int(text)


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no colour; give a name, or #rrggbb") from None
    return red, green, blue


def _tile(text: str) -> int | str:
    """A number; 0 is "auto", as in realesrgan-ncnn-vulkan."""
    return (int(text) or "auto") if text.isdecimal() else text


def _threads(text: str) -> int:
    """A number; of three for loading, computing and saving, as realesrgan-ncnn-vulkan takes, the second."""
    parts = text.split(":")
    if len(parts) not in (1, 3) or not all(part.lstrip("-").isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(parts[len(parts) // 2])
