"""Memory that the packed engine takes beyond the result, by the size of the picture.

``python -m benchmarks.upscale_memory``: each size is run by a process of its own, with the weights that come with the
package and all CPUs; what the process held before the run is not counted.
"""

import multiprocessing
import resource
from typing import Any

import numpy as np

import npbsrn
from benchmarks.bench_train import cpu_name

SCALE, MEGAPIXELS = 4, (0.25, 1.0, 4.0, 8.0)
MEGABYTE = 1e6


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux gives kilobytes


def _measure(size: float, results: Any) -> None:
    side = round((size * 1e6) ** 0.5)
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    npbsrn.upscale(picture[:64, :64], SCALE)  # loads and compiles
    before = _peak()
    enlarged = npbsrn.upscale(picture, SCALE)
    results.put(_peak() - before - enlarged.nbytes)


def main() -> None:
    """Print a table."""
    print(f"{cpu_name()}: BSRN x{SCALE}, peak of memory beyond the result")
    context = multiprocessing.get_context("spawn")
    for size in MEGAPIXELS:
        results = context.Queue()
        process = context.Process(target=_measure, args=(size, results))
        process.start()
        print(f"    {size:5g} MP  {results.get() / MEGABYTE:6.0f} MB")
        process.join()


if __name__ == "__main__":
    main()
