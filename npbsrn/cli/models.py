"""``npbsrn models``."""

import argparse
from importlib.resources import as_file

from npbsrn.shipped import MODELS, packed_weights
from npbsrn.storage.params import peek_card


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn models``."""
    print("name   scale       MB   PSNR   for")
    for name, model in MODELS.items():
        for scale in model.scales:
            with as_file(packed_weights(name, scale)) as path:
                size, card = path.stat().st_size, peek_card(path)
            print(f"{name:6} x{scale}      {size / 1e6:5.2f}  {card['validation_psnr']:5.2f}   {model.words}")
    print("PSNR is on the pictures that each model's training held out: bsrn's are others.")
