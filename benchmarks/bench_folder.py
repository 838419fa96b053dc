"""Time `npbsrn upscale` on a folder of photographs of a megapixel, against the engine alone on the same pictures.

``python -m benchmarks.bench_folder [--count 50] [--rounds 3] [--suffix .jpg] [--model clean] [--threads N]``.
The engine alone enlarges the decoded pictures one after another, by all threads. The folder is decoded, enlarged,
encoded and written. Both run in turn, `rounds` times; figures are medians. The pictures are those of photos/ in
$NPBSRN_DATA, or else docs/images/coffee.png, cut or mirrored to a megapixel. The last line is JSON.
"""

import argparse
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.timing import add_json, record, rounded, show_lines
from npbsrn.cli.parser import main as npbsrn
from npbsrn.images.reading import read_rgb
from npbsrn.inference.choose import choose_runner
from npbsrn.runtime.lanes import lanes_of
from npbsrn.runtime.machine import cpu_name
from npbsrn.runtime.threads import thread_count

Array = np.ndarray[Any, Any]

HEIGHT, WIDTH = 1000, 1000
COUNT = 50
COFFEE = Path(__file__).parent.parent / "docs/images/coffee.png"


def photographs() -> list[Path]:
    """Pictures to cut from."""
    folder = Path(os.environ.get("NPBSRN_DATA", "")) / "photos"
    return sorted(path for path in folder.glob("*") if path.suffix in (".png", ".jpg"))[:COUNT] or [COFFEE]


def make_pictures(folder: Path, count: int, suffix: str, height: int, width: int) -> list[Array]:
    """Write pictures into a folder; returns them as they are read."""
    sources = photographs()
    for n in range(count):
        source = read_rgb(sources[n % len(sources)])
        rows, columns = (_mirrored(*extents) for extents in zip((height, width), source.shape[:2], strict=True))
        Image.fromarray(np.roll(source[rows][:, columns], n, axis=1)).save(folder / f"{n:03}{suffix}")
    return [read_rgb(path) for path in sorted(folder.iterdir())]


def _mirrored(extent: int, side: int) -> Array:
    at = np.arange(extent) % (2 * side)
    return np.where(at < side, at, 2 * side - 1 - at)


def main() -> None:
    """Print seconds a picture, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--suffix", default=".jpg")
    parser.add_argument("--model", default="clean")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--threads", type=int, default=thread_count())
    parser.add_argument("--side", type=int, nargs=2, default=(HEIGHT, WIDTH), help="height and width of the pictures")
    add_json(parser)
    options = parser.parse_args()
    show_lines()
    print(f"{cpu_name()}; {options.threads} threads, lanes {lanes_of(options.threads)}")
    runner = choose_runner(options.model, options.scale)
    times: dict[str, list[float]] = {"engine": [], "folder": []}
    with TemporaryDirectory() as place:
        source, target = Path(place) / "in", Path(place) / "out"
        source.mkdir()
        pictures = make_pictures(source, options.count, options.suffix, *options.side)
        runner.run(pictures[0][:64], options.threads)  # compiles
        command = ["upscale", str(source), "-o", str(target), "-m", options.model, "-s", str(options.scale)]
        command += ["-j", str(options.threads), "--overwrite", "--quiet"]
        for _ in range(options.rounds):
            start = time.perf_counter()
            for picture in pictures:
                runner.run(picture, options.threads)
            between = time.perf_counter()
            if npbsrn(command):
                raise SystemExit("the folder could not be enlarged")
            times["engine"].append((between - start) / len(pictures))
            times["folder"].append((time.perf_counter() - between) / len(pictures))
        written = sum(path.stat().st_size for path in target.iterdir()) / len(pictures)
    figures: dict[str, Any] = {name: float(np.median(seconds)) for name, seconds in times.items()}
    ratios = [folder / engine for engine, folder in zip(times["engine"], times["folder"], strict=True)]
    figures |= {"ratio": float(np.median(ratios)), "megabytes": written / 1e6}
    print(f"engine alone  {figures['engine']:.2f} s a picture")
    print(f"folder        {figures['folder']:.2f} s a picture, {figures['megabytes']:.1f} MB each")
    print(f"ratio         {figures['ratio']:.3f}  ({', '.join(f'{ratio:.3f}' for ratio in ratios)})")
    figures |= {"threads": options.threads, "suffix": options.suffix, "model": options.model}
    print(json.dumps(rounded(figures)))
    record(rounded(figures), options.json)


if __name__ == "__main__":
    main()
