"""How long a whole ``npbsrn upscale`` of a small picture takes, with kernels on the disk and for the first time ever.

``python -m benchmarks.bench_start`` times processes, from their start to their end: medians, in seconds. Beside them
stand those of Python with NumPy and with Numba, below which no command can be.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.timing import add_json, record, rounded

SIDE = 64


def timed(*command: str, **environment: str) -> float:
    """Seconds of one process."""
    # Bytecode of the package is kept, as that of any package is where pip has installed it.
    whole = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | environment
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], env=whole, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-m", "--model", default="clean")
    parser.add_argument("--rounds", type=int, default=7, help="processes with kernels on the disk")
    parser.add_argument("--cold", type=int, default=1, help="processes without")
    add_json(parser)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.png", Path(folder) / "out.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(source)
        upscale = (
            "-m",
            "npbsrn",
            "upscale",
            "-i",
            str(source),
            "-o",
            str(target),
            "-m",
            arguments.model,
            "--overwrite",
        )
        places = [Path(folder) / f"kernels{n}" for n in range(max(arguments.cold, 1))]
        first = [timed(*upscale, NUMBA_CACHE_DIR=str(place)) for place in places]
        warm: dict[str, list[float]] = {"import numpy": [], "import numba": [], "upscale": []}
        for _ in range(arguments.rounds):  # in turn, so that what else the machine does meets all alike
            for name, seconds in warm.items():
                command = upscale if name == "upscale" else ("-c", name)
                seconds.append(timed(*command, NUMBA_CACHE_DIR=str(places[0])))
    for name, seconds in warm.items():
        print(f"{name:22} {statistics.median(seconds):6.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"{'upscale, first ever':22} {statistics.median(first):6.2f} s")
    figures = {name: statistics.median(seconds) for name, seconds in (warm | {"upscale, first ever": first}).items()}
    record(rounded(figures), arguments.json)


if __name__ == "__main__":
    main()
