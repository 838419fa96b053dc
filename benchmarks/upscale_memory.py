"""Memory that the packed engine takes beyond the result, by the size of the picture; and that of strips.

``python -m benchmarks.upscale_memory``: each size is run by a process of its own, with the model `bsrn` and all CPUs;
what the process held before the run is not counted.

``python -m benchmarks.upscale_memory --strips``: the command enlarges pictures in strips, a width of 1000 pixels by
several heights, and is held to 2 GB of addresses, of which all that it holds is a part. The peak is that of the whole
process. ``--width 10000 --heights 10000`` is a picture of 100 megapixels; ``--suffix .tif`` or ``.ppm`` makes it, and
the result, a TIFF or a PPM.
"""

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import npbsrn
from benchmarks.timing import Figures, add_json, record
from npbsrn.images.formats import WRITTEN
from npbsrn.images.picture import Tags
from npbsrn.images.saving import Saving
from npbsrn.images.strips.base import Page
from npbsrn.images.strips.opening import writer_for
from npbsrn.runtime.machine import cpu_name

MODEL, SCALE, MEGAPIXELS = "bsrn", 4, (0.25, 1.0, 4.0, 8.0)
MEGABYTE = 1e6
LIMIT = 2 * 10**9  # bytes of addresses of a process that works in strips
ROWS = 250  # that are made at once


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux gives kilobytes


def _measure(size: float) -> float:
    side = round((size * 1e6) ** 0.5)
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    for tile in (32, "auto"):  # loads and compiles, for a part of a picture and for the whole
        npbsrn.upscale(picture[:64, :64], SCALE, MODEL, tile=tile)
    before = _peak()
    enlarged = npbsrn.upscale(picture, SCALE, MODEL)
    return _peak() - before - enlarged.nbytes


def _make(path: Path, width: int, height: int) -> None:
    """Write a picture of waves, row by row."""
    page, x = Page(width, height, 3, False, np.uint8, Tags()), np.arange(width)
    with open(path, "wb") as file:
        writer = writer_for(WRITTEN[path.suffix], file, page, Saving(), None)
        for top in range(0, height, ROWS):
            y = np.arange(top, min(top + ROWS, height))[:, None]
            waves = 128 + 60 * np.sin(x / 37 + y / 91) + 40 * np.sin(y / 13) * np.cos(x / 29)
            writer.write(np.stack([waves, np.roll(waves, 9, 1), 255 - waves], 2).astype(np.uint8))
        writer.close()


def _enlarge(source: Path, target: Path, model: str) -> tuple[float, float]:
    """Seconds, and the peak of memory, of the command that enlarges a picture."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))

    command = [sys.executable, "-m", "npbsrn", str(source), "-o", str(target), "-m", model, "--quiet", "--overwrite"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, preexec_fn=limit)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("the command has failed")
    return time.perf_counter() - begin, usage.ru_maxrss * 1024


def _table_of_strips(model: str, width: int, heights: list[int], suffix: str) -> Figures:
    figures: Figures = {}
    print(f"{cpu_name()}: {model} x4 of {suffix} in strips, by a process of {LIMIT / 1e9:g} GB of addresses")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / f"in{suffix}", Path(folder) / f"out{suffix}"
        _make(source, 50, 50)
        _enlarge(source, target, model)  # compiles what is not on the disk yet
        for height in heights:
            _make(source, width, height)
            seconds, peak = _enlarge(source, target, model)
            size = target.stat().st_size / MEGABYTE
            print(f"    {width}x{height}: {seconds:6.0f} s, peak {peak / MEGABYTE:5.0f} MB, result {size:6.0f} MB")
            figures[f"{width}x{height}"] = {"seconds": round(seconds), "peak_mb": round(peak / MEGABYTE)}
    return figures


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="Memory that enlarging takes.")
    parser.add_argument("--strips", action="store_true", help="of the command, in strips")
    parser.add_argument("--model", default="fast", help="for strips; default fast")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--heights", type=int, nargs="+", default=[12000, 24000])
    parser.add_argument(
        "--suffix", choices=(".png", ".tif", ".ppm"), default=".png", help="of both files; default .png"
    )
    add_json(parser)
    arguments = parser.parse_args()
    if arguments.strips:
        figures = _table_of_strips(arguments.model, arguments.width, arguments.heights, arguments.suffix)
    else:
        figures = _table_of_sizes()
    record(figures, arguments.json)


def _table_of_sizes() -> Figures:
    figures: Figures = {}
    print(f"{cpu_name()}: {MODEL} x{SCALE}, peak of memory beyond the result")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pool.apply(_measure, (MEGAPIXELS[0],))  # compiles what is not on the disk yet, which takes memory, too
        for size in MEGAPIXELS:
            peak = pool.apply(_measure, (size,)) / MEGABYTE
            print(f"    {size:5g} MP  {peak:6.0f} MB")
            figures[f"{size:g} MP"] = round(peak)
    return figures


if __name__ == "__main__":
    main()
