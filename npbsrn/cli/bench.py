"""Time the enlargement of a picture on the user's own machine."""

import time
from collections.abc import Callable, Iterator
from os import PathLike
from typing import Any

import numpy as np

from npbsrn.errors import UsageError
from npbsrn.inference.runners import Runnable, run
from npbsrn.inference.upscaling import choose_model
from npbsrn.kernels.cpu import chosen_kernel
from npbsrn.runtime.threads import thread_count
from npbsrn.storage.models import is_packed

Array = np.ndarray[Any, Any]

SIZES = ((180, 320), (540, 960))
ROUNDS = 7


def bench(model: str | PathLike[str] | None, scale: int) -> Iterator[str]:
    """Lines of a table: seconds for pictures of noise, medians of `ROUNDS` runs, and of one of the reference engine.

    Raises
    ------
    UsageError
        If the model is "bicubic", or cannot be packed.
    """
    if model == "bicubic":
        raise UsageError("bench times networks; name weights, or leave the model out")
    engine = choose_model(model, scale, "packed")
    yield f"packed engine, kernel {chosen_kernel()}, x{scale}, {thread_count()} CPUs"
    yield "    pixels in     threads   seconds   megapixels in a second"
    for height, width in SIZES:
        picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
        for threads in sorted({1, thread_count()}):
            seconds = _median(engine, picture, scale, threads)
            rate = height * width / seconds / 1e6
            yield f"{width:8}x{height:<8} {threads:5}   {seconds:9.4f}   {rate:.2f}"
    if model is None or not is_packed(model):  # else there are no float weights
        reference, picture = choose_model(model, scale, "reference"), np.zeros((*SIZES[0], 3), np.uint8)
        seconds = _time(lambda: run(reference, picture, scale))
        yield f"the reference engine, {SIZES[0][1]}x{SIZES[0][0]}: {seconds:.2f} s"


def _median(model: Runnable, picture: Array, scale: int, threads: int) -> float:
    run(model, picture[:32, :32], scale, threads)  # compiles
    return float(np.median([_time(lambda: run(model, picture, scale, threads)) for _ in range(ROUNDS)]))


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
