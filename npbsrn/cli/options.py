"""Options that several commands share."""

import argparse

from npbsrn.shipped import DEFAULT, MODELS

MODEL = f'{", ".join(MODELS)}, "bicubic", a weight file or a run folder; default {DEFAULT}'


def add_scale(parser: argparse.ArgumentParser) -> None:
    """Of a command that takes networks alone, and so their scales."""
    parser.add_argument("-s", "--scale", type=int, default=4, help="2, 3 or 4; default 4")


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """How pictures are enlarged."""
    parser.add_argument("--engine", default="auto", help="auto, packed or reference; default auto")
    parser.add_argument(
        "-x", "--ensemble", action="store_true", help="mean of eight turns and flips: better, in eight times the time"
    )
