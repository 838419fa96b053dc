"""Time and size of enlarged photographs as PNGs, by zlib's levels and strategies, against level 6.

``python -m benchmarks.bench_png [--count 8] [--side 500] [--model clean] [--scale 4]``. The photographs are those of
`benchmarks.bench_folder`. Time is the median of the pictures' ratios; sizes are of all pictures together, of the
picture that gains most and of the one that loses most. The last line is JSON: all sizes by setting.
"""

import argparse
import io
import json
import time
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, features

from benchmarks.bench_folder import make_pictures
from benchmarks.timing import add_json, cpu_name, record, rounded
from npbsrn.images.compression import save_png
from npbsrn.inference.choose import choose_runner

Array = np.ndarray[Any, Any]

STRATEGIES = {"filtered": zlib.Z_FILTERED, "default": zlib.Z_DEFAULT_STRATEGY}
SETTINGS = {
    f"{name} {level}": {"compress_type": strategy, "compress_level": level}
    for name, strategy in STRATEGIES.items()
    for level in range(6, 0, -1)
} | {name: {"compress_type": strategy} for name, strategy in (("RLE", zlib.Z_RLE), ("Huffman", zlib.Z_HUFFMAN_ONLY))}
CHOSEN = "chosen"  # by `npbsrn.images.compression`
FIRST = "filtered 6"  # Pillow's own


def encoded(samples: Array, name: str) -> tuple[float, int]:
    """Seconds and bytes."""
    file, start = io.BytesIO(), time.perf_counter()
    if name == CHOSEN:
        save_png(samples, file)
    else:
        Image.fromarray(samples).save(file, "PNG", **SETTINGS[name])
    return time.perf_counter() - start, file.tell()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--side", type=int, default=500)
    parser.add_argument("--model", default="clean")
    parser.add_argument("--scale", type=int, default=4)
    add_json(parser)
    options = parser.parse_args()
    print(f"{cpu_name()}; zlib-ng {features.version_feature('zlib_ng')}, {features.version('zlib')}")
    runner = choose_runner(options.model, options.scale)
    names = [*SETTINGS, CHOSEN]
    times, sizes = (np.zeros((len(names), options.count)) for _ in range(2))
    pixels = 0
    with TemporaryDirectory() as place:
        for n, picture in enumerate(make_pictures(Path(place), options.count, ".png", options.side, options.side)):
            large = runner.run(picture)
            pixels = large.shape[0] * large.shape[1]
            for row, name in enumerate(names):
                times[row, n], sizes[row, n] = encoded(large, name)
    first = names.index(FIRST)
    figures: dict[str, float] = {}
    rows: dict[str, Any] = {}
    for name, seconds, own in zip(names, times, sizes, strict=True):
        share, ratios = float(np.median(seconds / times[first])), own / sizes[first]
        figures[name] = float(own.sum() / sizes[first].sum())
        rows[name] = {"s_per_megapixel": float(np.median(seconds)) / pixels * 1e6, "time": share, "size": figures[name]}
        print(
            f"{name:10}  {np.median(seconds) / pixels * 1e6:.3f} s a megapixel, {share:.2f};  "
            f"size {figures[name]:.3f} ({ratios.min():.2f} to {ratios.max():.2f})"
        )
    print(json.dumps(rounded(figures)))
    record({name: rounded(row) for name, row in rows.items()}, options.json)


if __name__ == "__main__":
    main()
