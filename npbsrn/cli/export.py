"""``npbsrn export``: weights for other tools."""

import argparse
from pathlib import Path

from npbsrn.cli.options import add_scale, refuse_name
from npbsrn.cli.say import tell
from npbsrn.errors import UsageError
from npbsrn.inference.choose import plan_of
from npbsrn.models import load, save_model
from npbsrn.packed import onnx
from npbsrn.storage import tensors
from npbsrn.storage.files import check_folder_of, refuse_existing


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is exported, and where it goes."""
    parser.add_argument(
        "model", metavar="FILE", help="weight file or run folder; for .onnx also a packed file or a model's name"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT",
        help=f"the file to write; its suffix says what: {tensors.SUFFIX}, the weights; {onnx.SUFFIX}, a network of "
        "floats that runs elsewhere; .npz, weights come back",
    )  # fmt: skip
    add_scale(parser, None)
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it exists")


def run(arguments: argparse.Namespace) -> None:
    """``npbsrn export``."""
    target, kinds = arguments.output, (tensors.SUFFIX, onnx.SUFFIX, ".npz")
    if target.suffix not in kinds:
        raise UsageError(f"{target.name!r} does not say what to export; name a file that ends in {', '.join(kinds)}")
    if target.suffix != onnx.SUFFIX:
        refuse_name(Path(arguments.model))
    check_folder_of(target, UsageError)
    refuse_existing(target, arguments.overwrite)
    if target.suffix == onnx.SUFFIX:
        onnx.save_onnx(target, plan_of(arguments.model, arguments.scale))
    else:
        model = load(Path(arguments.model))
        if arguments.scale not in (None, model.scale):
            raise UsageError(f"the model enlarges x{model.scale}, not x{arguments.scale}; leave the scale out")
        save_model(target, model)
    tell(f"{target}: {target.stat().st_size / 1e6:.2f} MB")
    if target.suffix == onnx.SUFFIX:
        tell("The signs are those of npbsrn wherever a runtime computes in float32 and float64 as ONNX says;")
        tell("rounding changes a few in 100,000 samples of 8 bits by one level (docs/tools.md).")
