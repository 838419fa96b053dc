"""The command line, ``npbsrn COMMAND ...``: which command runs, and what is said when it cannot.

A command is a module of this package with ``add_arguments(parser)`` and ``run(arguments)``, which returns an exit code
or None. It is imported only when it is asked for, so that every command starts quickly. Without a command, pictures are
enlarged: ``npbsrn photo.jpg`` is ``npbsrn upscale photo.jpg``.

Exit codes: 0, done; 1, the run failed, or some of several pictures did; 2, bad usage or input; 128 plus the signal's
number, interrupted: 130 by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
"""

import argparse
import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from platform import python_version
from typing import NoReturn

from npbsrn import __version__
from npbsrn.cli.say import say, spoken, tell
from npbsrn.errors import in_words

# By name: the module, and what the command does.
COMMANDS = {
    "upscale": ("upscale", "Enlarge pictures, and all pictures of folders."),
    "check": ("check", "Say how well an enlarged picture, reduced again, gives back the original."),
    "serve": ("serve", "Open a page on this machine that enlarges pictures."),
    "models": ("models", "List the models that come with the package, or show the card of one."),
    "train": ("train", "Train a network on a folder of photographs."),
    "compact": ("compact", "Write a run's state in half its bytes, to go on elsewhere."),
    "eval": ("evaluate", "Print PSNR and SSIM of a model on a folder of pictures."),
    "plot": ("plot", "Draw the curves of training runs beside each other."),
    "pack": ("pack", "Write a packed weight file: a bit for each binary weight."),
    "export": ("export", "Write weights for other tools: safetensors, and back; ONNX."),
    "compare": ("compare", "Show what several models make of one picture, side by side."),
    "reproduce": ("reproduce", "Train and judge the rows of a table of the paper, and print it beside its figures."),
    "info": ("info", "Print a network's parameters and cost, and a weight file's card."),
    "bench": ("bench", "Time the enlargement of a picture on this machine."),
    "cache": ("cache", "Show what is kept on disk: compiled kernels and decoded pictures."),
    "warmup": ("warmup", "Compile all kernels now, so that nothing has to be compiled later."),
}
USAGE = """usage: npbsrn [upscale] PICTURE ... [-o OUT] [-s SCALE] [-m MODEL] ...
       npbsrn COMMAND ..."""
HELP = """npbsrn photo.jpg writes photo-x4.jpg beside it. npbsrn help COMMAND lists a command's options.
-V, --version prints the version, and on what it runs.
--debug, in front of a command, shows where an unexpected error comes from."""


FOREIGN = {
    "-g": "as npbsrn runs on the CPU: leave it out", "--gpu": "as npbsrn runs on the CPU: leave it out",
    "-c": "-q is the quality", "-w": "-s is the factor, such as 2.5", "--tta": "-x is the mean of eight turns",
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code and never raises for what a user can mend."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = words[:1] == ["--debug"]
    words = words[1:] if debug else words
    if not words or words[0] in ("help", "-h", "--help"):
        return show_help(words[1:])
    if words[0] in ("-V", "--version"):
        return _guarded(show_version, debug)
    name, rest = (words[0], words[1:]) if words[0] in COMMANDS else ("upscale", words)
    if name != words[0]:
        _refuse_unknown(words[0])
    return _run(name, rest, debug)


def _run(name: str, words: Sequence[str], debug: bool) -> int:
    """Run a command."""

    def run() -> int:
        command = import_module(f"npbsrn.cli.{COMMANDS[name][0]}")
        return int(command.run(make_parser(name).parse_args(words)) or 0)

    return _guarded(run, debug)


def _guarded(run: Callable[[], int], debug: bool) -> int:
    """Call something; what it raises becomes one sentence, and an exit code."""
    if not logging.root.handlers:
        logging.root.addHandler(logging.NullHandler())  # what libraries log of damaged files, an error says
    try:
        with warnings.catch_warnings(), spoken(debug):
            warnings.showwarning = lambda message, *_: say(f"warning: {message}")
            return run()
    except KeyboardInterrupt as interrupt:
        say(f"interrupted{interrupt}")
        return 128 + getattr(interrupt, "number", signal.SIGINT)
    except BrokenPipeError:  # who reads what is printed has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        if known := in_words(error):
            say(known[0])
            return known[1]
        if debug:
            raise
        say(f"unexpected {type(error).__name__}: {error}; npbsrn --debug COMMAND shows where")
        return 1


class Parser(argparse.ArgumentParser):
    """A command's parser, whose errors are its own usage and one sentence."""

    def parse_args(self, words: Sequence[str]) -> argparse.Namespace:  # type: ignore[override]
        """Parse a command's words, of which some are refused that argparse or paths would take for something else."""
        options = True  # before a "--"
        for before, word in pairwise(["", *words]):
            options = options and word != "--"
            name, equals, value = word.partition("=") if options and word.startswith("--") else (before, "=", word)
            if value == "--" and name != before:
                self.error(f"{word}: -- is no value")  # of which argparse makes an empty list before Python 3.13
            if equals and not value and name != "--suffix":
                self.error("an argument is empty, which names nothing; leave it out, or name a file")
        return super().parse_args(words)

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and exit with 2; of the ranks of a training, the first one prints it."""
        if self.prog == "npbsrn train":
            from npbsrn.training.ranks import is_first

            if not is_first():
                sys.exit(2)
        self.print_usage(sys.stderr)
        unknown = message.removeprefix("unrecognized arguments: ").split(" ")[0]
        hint = self._hint(unknown) if message.startswith("unrecognized arguments: ") else ""
        say(f"{message}{hint}; {self.prog.replace('npbsrn', 'npbsrn help', 1)} lists the options")
        sys.exit(2)

    def _hint(self, word: str) -> str:
        """What somebody may have meant by an option that there is not."""
        if word in FOREIGN and self.prog == "npbsrn upscale":
            return f", {FOREIGN[word]}"
        close = get_close_matches(word.partition("=")[0], self._option_string_actions, 1)
        return f", did you mean {close[0]}?" if close and word.startswith("--") else ""


def make_parser(name: str) -> Parser:
    """The parser of one command."""
    module, words = COMMANDS[name]
    parser = Parser(prog=f"npbsrn {name}", description=words, allow_abbrev=False)
    import_module(f"npbsrn.cli.{module}").add_arguments(parser)
    return parser


def show_help(words: Sequence[str]) -> int:
    """``npbsrn help [COMMAND]``."""
    if not words:
        width = max(map(len, COMMANDS))
        lines = [f"  {name:{width}}  {what}" for name, (_, what) in COMMANDS.items()]
        print("\n".join([USAGE, "", "Enlarge pictures with binarized networks, and train them.", "", *lines, "", HELP]))
        return 0
    if words[0] not in COMMANDS:
        _refuse_unknown(words[0], f"there is no command {words[0]}")
    make_parser(words[0]).print_help()
    return 0


def show_version() -> int:
    """``npbsrn --version``: what a report of a fault should say."""
    from npbsrn.runtime.machine import cpu_name
    from npbsrn.runtime.threads import thread_count

    tell(f"npbsrn {__version__}")
    tell(", ".join(f"{name} {_version(name)}" for name in ("python", "numpy", "numba", "pillow")))
    tell(f"on {cpu_name()}, threads: {thread_count()}")
    from npbsrn.kernels.cpu import chosen_kernel

    tell(f"kernel: {chosen_kernel()}")
    return 0


def _version(name: str) -> str:
    try:
        return python_version() if name == "python" else version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _refuse_unknown(word: str, reason: str = "") -> None:
    """Refuse a word that is no command, and neither an option nor anything like a path, which `upscale` would take."""
    path = Path(word)
    if not reason and (word.startswith("-") or path.suffix or path.name != word or os.path.lexists(path)):
        return
    close = get_close_matches(word, COMMANDS, 1)
    hint = f"did you mean {close[0]}?" if close else f"the commands are {', '.join(COMMANDS)}"
    print(USAGE, file=sys.stderr)
    say(f"{reason or f'there is no command or file {word}'}; {hint}")
    sys.exit(2)
