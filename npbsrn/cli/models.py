"""``npbsrn models``."""

import argparse
import json
from importlib.resources import as_file
from typing import Any

from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.shipped import MODELS, listed, named, packed_weights
from npbsrn.storage.params import peek_card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which card is to be shown."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the model whose card is shown; without, all are listed"
    )
    parser.add_argument("-s", "--scale", type=int, help="of the card; default: all of the model's")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn models [NAME]``."""
    if arguments.name is not None:
        _show(arguments.name, arguments.scale)
        return
    tell("name   scale       MB   PSNR   for")
    for name, model in MODELS.items():
        for scale in model.scales:
            size, card = _file(name, scale)
            tell(f"{name:6} x{scale}      {size / 1e6:5.2f}  {card['validation_psnr']:5.2f}   {model.words}")
    tell("PSNR is on the pictures that each model's training held out: bsrn's are others.")


def _show(name: str, scale: int | None) -> None:
    """A model's cards."""
    if name not in MODELS:
        raise UsageError(f"there is no model {name}; there are {listed()}")
    if scale is not None:
        named(name, scale)  # which refuses a scale that it has not
    tell(f"{name}: {MODELS[name].words}")
    for own in MODELS[name].scales if scale is None else (scale,):
        size, card = _file(name, own)
        tell("")
        tell(f"x{own}, {size / 1e6:.2f} MB")
        for key, value in card.items():
            if key not in ("name", "plan", "format", "kind", "packed"):
                tell(f"  {key:16} {json.dumps(value) if isinstance(value, dict | list) else value}")


def _file(name: str, scale: int) -> tuple[int, dict[str, Any]]:
    """The size of a packed file in bytes, and its card."""
    with as_file(packed_weights(name, scale)) as path:
        return path.stat().st_size, peek_card(path)
