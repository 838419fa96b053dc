"""Quantize the float networks of a folder to int8, for bench_frontier.py: NAME-x4.onnx to NAME-x4-int8.xml.

``python -m benchmarks.quantize_peers DIR PICTURES [--scale 4]``, after ``pip install '.[peers]' nncf``. PICTURES is a
folder of training pictures, which are reduced by bicubic interpolation. NNCF quantizes filters and activations after
training, by what the activations are on these pictures; OpenVINO runs the result.

A last layer that also takes in the picture, or makes pixels out of few levels, loses much in 8 bits. So each network is
quantized as a whole, without its last convolution, and without its first and its last; the file that is nearest to the
float network on further training pictures is kept. Test pictures have no part in it.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peer_files import Enlarge, find_peers, runtimes
from npbsrn.datasets.pairs import find_pairs, read_pair

Array = np.ndarray[Any, Any]

SIDE = 64  # LR pixels of a crop
CALIBRATING, CHOOSING = 200, 40  # crops
SCOPES = {"all": (), "all but the last": (-1,), "all but the first and the last": (0, -1)}  # convolutions left in float


def crops(folder: Path, scale: int) -> Iterator[Array]:
    """The middle of each picture, reduced: (SIDE, SIDE, 3) uint8."""
    for pair in find_pairs(folder, scale):
        low = read_pair(pair, scale)[0]
        top, left = ((extent - SIDE) // 2 for extent in low.shape[:2])
        if min(top, left) >= 0:
            yield np.ascontiguousarray(low[top : top + SIDE, left : left + SIDE])


def error_of(enlarge: Enlarge, pictures: Sequence[Array], wanted: Sequence[Array]) -> float:
    """Mean squared difference, in levels."""
    differences = (enlarge(picture).astype(float) - own for picture, own in zip(pictures, wanted, strict=True))
    return float(np.mean([np.mean(difference**2) for difference in differences]))


def quantize(path: Path, pictures: Sequence[Array]) -> Path:
    """Write a network's int8 file beside it; print what each scope gives."""
    import nncf
    import openvino

    calibrating, choosing = pictures[:-CHOOSING], pictures[-CHOOSING:]
    wanted = [np.array(runtimes(path, "float32")["OpenVINO"](picture)) for picture in choosing]
    network = openvino.Core().read_model(path)
    operations = [op for op in network.get_ordered_ops() if op.get_type_name() == "Convolution"]
    target, trial = path.with_name(f"{path.stem}-int8.xml"), path.with_name(f"{path.stem}-trial.xml")
    best, kept = np.inf, ""
    for words, left_out in SCOPES.items():
        ignored = nncf.IgnoredScope(names=[operations[n].get_friendly_name() for n in left_out])
        data = nncf.Dataset([picture[None] for picture in calibrating])
        whole = nncf.quantize(network.clone(), data, subset_size=len(calibrating), ignored_scope=ignored)
        openvino.save_model(whole, trial, compress_to_fp16=False)
        error = error_of(runtimes(trial, "int8")["OpenVINO"], choosing, wanted)
        print(f"{path.stem}, {words}: mean squared difference {error:.3f}")
        if error < best:
            best, kept = error, words
            for suffix in (".xml", ".bin"):
                trial.with_suffix(suffix).replace(target.with_suffix(suffix))
    for suffix in (".xml", ".bin"):
        trial.with_suffix(suffix).unlink(missing_ok=True)
    print(f"{target.name}: {kept}")
    return target


def main() -> None:
    """Quantize all networks of a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="of NAME-x4.onnx")
    parser.add_argument("pictures", type=Path, metavar="PICTURES", help="folder of training pictures")
    parser.add_argument("--scale", type=int, default=4)
    args = parser.parse_args()
    pictures = list(islice(crops(args.pictures, args.scale), CALIBRATING + CHOOSING))
    if len(pictures) <= CHOOSING:
        parser.error(f"{args.pictures} has too few pictures of {SIDE * args.scale} pixels and more")
    for files in find_peers(args.folder, args.scale).values():
        if "float32" in files:
            quantize(files["float32"], pictures)


if __name__ == "__main__":
    main()
