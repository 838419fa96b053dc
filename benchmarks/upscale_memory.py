"""Memory that the packed engine takes beyond the result, by the size of the picture.

``python -m benchmarks.upscale_memory``: each size is run by a process of its own, with the model `bsrn` and all CPUs;
what the process held before the run is not counted.
"""

import multiprocessing
import resource

import numpy as np

import npbsrn
from npbsrn.runtime.machine import cpu_name

MODEL, SCALE, MEGAPIXELS = "bsrn", 4, (0.25, 1.0, 4.0, 8.0)
MEGABYTE = 1e6


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


def main() -> None:
    """Print a table."""
    print(f"{cpu_name()}: {MODEL} x{SCALE}, peak of memory beyond the result")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pool.apply(_measure, (MEGAPIXELS[0],))  # compiles what is not on the disk yet, which takes memory, too
        for size in MEGAPIXELS:
            print(f"    {size:5g} MP  {pool.apply(_measure, (size,)) / MEGABYTE:6.0f} MB")


if __name__ == "__main__":
    main()
