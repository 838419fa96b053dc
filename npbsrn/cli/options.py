"""Options that several commands share."""

import argparse
import contextlib
import json
from pathlib import Path
from typing import Any

from npbsrn.errors import UsageError
from npbsrn.shipped import DEFAULT, MODELS

MODEL = f'{", ".join(MODELS)}, "bicubic", a weight file or a run folder; default {DEFAULT}'
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
}  # of `npbsrn.train` itself


def add_scale(parser: argparse.ArgumentParser, default: int | None = 4) -> None:
    """Of a command that takes networks alone, and so their scales; without a default, the weights have theirs."""
    words = "4" if default else "that of the weights, 4 for a name"
    parser.add_argument("-s", "--scale", type=int, default=default, help=f"2, 3 or 4; default {words}")


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How pictures are enlarged."""
    parser.add_argument("--engine", default="auto", help="auto, packed or reference; default auto")
    parser.add_argument(
        "-x", "--ensemble", action="store_true", help="mean of eight turns and flips: better, in eight times the time"
    )


def refuse_name(path: Path) -> None:
    """Refuse the name of a model where a file is asked for, and say where the file is."""
    name = str(path)
    if name in MODELS and not path.exists():
        raise UsageError(
            f"the package holds {name} packed already (-m {name}); its latent weights are training/{name}-xSCALE/"
            "weights.npz in npbsrn's repository, so name that file's path"
        )


def set_option(options: dict[str, Any], setting: str) -> None:
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


def max_pixels(text: str) -> int | None:
    """A number of pixels; None for "any"."""
    if text == "any":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'must be a whole number, or "any", not {text!r}')
    return int(text)
