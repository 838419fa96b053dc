"""``npbsrn serve``: a page on this machine that enlarges pictures."""

import argparse
import os
import sys
import threading
import webbrowser

from npbsrn.cli.options import max_pixels
from npbsrn.cli.say import tell
from npbsrn.images.opening import MAX_PIXELS
from npbsrn.runtime.interrupts import explained
from npbsrn.serving.server import Server
from npbsrn.serving.visits import MEGABYTE, Limits

DEFAULTS = Limits()
NOTES = """The page is for this machine's browser only, at an address that holds a secret. Its pictures are deleted when
it is closed. Ctrl-C ends the server."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the page is, and how much it takes."""
    parser.epilog = NOTES
    parser.add_argument("--port", type=_number, default=0, metavar="N", help="of 127.0.0.1; default: one that is free")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "-j", "--threads", type=_number, metavar="N", help="for a picture; default: $NPBSRN_NUM_THREADS, or all CPUs"
    )
    parser.add_argument(
        "--max-pixels", type=max_pixels, default=MAX_PIXELS, metavar="N",
        help=f'of a picture that is opened, or "any"; default {MAX_PIXELS}',
    )  # fmt: skip
    parser.add_argument(
        "--max-size", type=_number, default=DEFAULTS.upload // MEGABYTE, metavar="MB",
        help="of a picture's file; default %(default)s",
    )  # fmt: skip
    parser.add_argument(
        "--max-kept", type=_number, default=DEFAULTS.kept // MEGABYTE, metavar="MB",
        help="of all pictures and results at once; default %(default)s",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn serve``; it ends by an interrupt."""
    from npbsrn.inference.upscaling import check_threads

    limits = Limits(
        upload=arguments.max_size * MEGABYTE, pixels=arguments.max_pixels, kept=arguments.max_kept * MEGABYTE
    )
    with (
        explained(lambda: "; the page's pictures are deleted"),
        Server(arguments.port, limits, check_threads(arguments.threads)) as server,
    ):
        tell(f"{server.address} is the page; Ctrl-C ends it", flush=True)
        if not arguments.no_browser and _has_screen():
            show(server.once)
        server.wait()


def show(address: str) -> None:
    """Open an address in the browser; in a thread, as one that is not running yet may take its time."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _has_screen() -> bool:
    """Whether a browser would open a window: without one, it would take the terminal."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)
