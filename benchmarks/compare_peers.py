"""Show what small float networks and npbsrn's models make of one picture; `npbsrn compare` does so for the latter.

``python -m benchmarks.compare_peers IMAGE --peers DIR --take etds-m etds-l --models fast clean -o panel.png``, where
DIR holds ONNX files as `benchmarks.bench_frontier` takes them. The README's picture is drawn so.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.peer_files import find_peers, runtimes
from npbsrn.cli.compare import parse_crop
from npbsrn.comparison.panel import draw_panel
from npbsrn.comparison.results import Crop, Result, checked_crop, enlarge_by_all, telling_crop
from npbsrn.datasets.pairs import Pair
from npbsrn.images.metrics import compare
from npbsrn.inference.evaluation import read_judged


def by_peers(picture: Path, peers: Path, names: Sequence[str], scale: int) -> list[Result]:
    """What float networks make of the reduced picture, by the first runtime that is installed."""
    lr, hr = read_judged(Pair(picture.name, picture, None), scale)
    files, results = find_peers(peers, scale), []
    for name in names:
        enlarge = next(iter(runtimes(files[name]["float32"], "float32").values()))
        enlarged = enlarge(lr)
        results.append(Result(f"{name}, float", enlarged, *compare(enlarged, hr, scale)))
    return results


def main() -> None:
    """Write the panel."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("--peers", type=Path, required=True, help="folder of ONNX files, NAME-xSCALE.onnx")
    parser.add_argument("--take", nargs="+", required=True, metavar="NAME", help="which of them")
    parser.add_argument("--models", nargs="+", default=["clean"], help="of npbsrn")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--crop", type=parse_crop, metavar="X,Y,W,H")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    bicubic, *ours, original = enlarge_by_all(arguments.picture, ["bicubic", *arguments.models], arguments.scale)
    peers = by_peers(arguments.picture, arguments.peers, arguments.take, arguments.scale)
    results = [bicubic, *peers, *ours, original]
    height, width = original.picture.shape[:2]
    crop = checked_crop(Crop(*arguments.crop), height, width) if arguments.crop else telling_crop(results)
    for result in results[:-1]:
        print(f"{result.label:24} {result.figures}")
    print(f"{'crop':24} {','.join(map(str, crop))}")
    Image.fromarray(draw_panel(results, crop)).save(arguments.output, quality=92)


if __name__ == "__main__":
    main()
